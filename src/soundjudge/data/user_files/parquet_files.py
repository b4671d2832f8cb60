"""Parquet files that people wrote: read whole, errors as sentences."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from soundjudge.errors import SoundjudgeError


def read_schema(path: Path) -> pa.Schema:
    """The columns of a file, all of different names."""
    try:
        schema: pa.Schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
    if len(set(schema.names)) != len(schema.names):
        name = next(name for name in schema.names if schema.names.count(name) > 1)
        raise SoundjudgeError(f"{path} has two columns {name!r}: rename or remove one")
    return schema


def read_parquet(path: Path) -> pa.Table:
    """The rows of a file, whose texts are UTF-8."""
    read_schema(path)
    try:
        table: pa.Table = pq.read_table(path)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
    return table


def unreadable(path: Path, error: Exception) -> SoundjudgeError:
    """The error about a file that is no Parquet file, or a damaged one, in one line."""
    reason = " ".join(str(error).split()).rstrip(".")
    return SoundjudgeError(f"{path} is not a readable Parquet file: {reason}: write it again")
