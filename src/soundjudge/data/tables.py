"""Every table between stages: its columns, one reader and one writer.

Parquet between stages, CSV where people read; the suffix decides. Ids are text always ("00000"
stays). Rows are counted from 1, the header of a CSV apart.
"""

import csv
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from soundjudge.artifacts import atomic_file
from soundjudge.data import delimited
from soundjudge.data.delimited import TableError as TableError
from soundjudge.data.schema import Kind
from soundjudge.data.schema import Table as Table
from soundjudge.data.schema import check as check

ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
BOOLS = {"true": True, "false": False}

CLIPS = Table(
    name="clips",
    columns={
        "clip_id": "str",
        "corpus": "str",
        "split": "str",
        "shard": "int",
        "offset": "int",  # first sample in the shard
        "samples": "int",  # length at 16 kHz
        "sha256": "str",  # of the stored int16 samples
    },
    key=("clip_id",),
)
CAPTIONS = Table(
    name="captions",
    columns={"caption_id": "str", "clip_id": "str", "corpus": "str", "text": "str"},
    key=("caption_id",),
)
RATED = Table(
    name="rated",
    columns={"wav_file_name": "str", "text": "str", "split": "str", "model_id": "str"},
    key=("wav_file_name", "text"),
    nullable=("model_id",),
    files=("wav_file_name",),
    determines=(("wav_file_name", "text"),),
)
RATINGS = Table(
    name="ratings",
    columns={
        "wav_file_name": "str",
        "text": "str",
        "listener_id": "str",
        "score": "float",  # 0 does not match at all, 10 matches exactly
        "split": "str",
        "model_id": "str",
    },
    key=("listener_id", "wav_file_name"),
    nullable=("model_id",),
    ranges={"score": (0.0, 10.0)},
    files=("wav_file_name",),
    determines=(("wav_file_name", "text"), ("wav_file_name", "model_id")),
)
TARGETS = Table(
    name="targets",
    columns={
        "wav_file_name": "str",
        "text": "str",
        "mean_score": "float",
        "spo_score": "float",
        "ratings": "int",
        "split": "str",
    },
    key=("wav_file_name", "text"),
    files=("wav_file_name",),
)
LISTENERS = Table(
    name="listeners",
    columns={"listener_id": "str", "mean": "float", "std": "float", "ratings": "int"},
    key=("listener_id",),
)
PAIRS = Table(
    name="pairs",
    columns={"clip_id": "str", "caption_id": "str", "matched": "bool", "clap_score": "float"},
    key=("clip_id", "caption_id"),
)
PREDICTIONS = Table(
    name="predictions",
    columns={"wav_file_name": "str", "text": "str", "pred_score": "float"},
    key=("wav_file_name", "text"),
    files=("wav_file_name",),
)
REJECTED = Table(name="rejected", columns={"corpus": "str", "file": "str", "reason": "str"})


def read(path: Path, table: Table, *, extra: bool = False) -> pd.DataFrame:
    """The checked rows of `path`, columns in the table's order; `extra` keeps further ones as text.

    A nullable column that the file lacks comes back empty. Raises TableError.
    """
    if not path.is_file():
        raise TableError(f"{path} does not exist ({table.name} table)")
    if path.suffix == ".parquet":
        arrow = _read_parquet(path, table)
    elif path.suffix == ".csv":
        arrow = _read_csv(path, table, extra=extra)
    else:
        raise TableError(f"{path}: the {table.name} table is read from .csv or .parquet")
    frame: pd.DataFrame = arrow.to_pandas()
    check(frame[list(table.columns)], table, str(path))
    return frame


def write(frame: pd.DataFrame, path: Path, table: Table) -> None:
    """Writes the checked columns, floats in full precision; refuses a column not in the table."""
    strangers = [column for column in frame.columns if column not in table.columns]
    if strangers:
        raise TableError(f"{path}: the {table.name} table has no column {strangers[0]!r}")
    check(frame, table, str(path))
    frame = frame[list(table.columns)]
    with atomic_file(path) as temporary:
        if path.suffix == ".parquet":
            schema = pa.schema([(name, ARROW[kind]) for name, kind in table.columns.items()])
            arrow = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
            # pandas' own metadata names its version, which must not change the bytes.
            pq.write_table(arrow.replace_schema_metadata(None), temporary, compression="zstd")
        elif path.suffix == ".csv":
            texts = [frame[name] for name, kind in table.columns.items() if kind == "str"]
            # The csv writer leaves a lone carriage return unquoted, which no reader takes.
            returns = any("\r" in text for column in texts for text in column.dropna())
            quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
            frame.to_csv(temporary, index=False, lineterminator="\n", quoting=quoting)
        else:
            raise TableError(f"{path}: the {table.name} table is written to .csv or .parquet")


def _read_parquet(path: Path, table: Table) -> pa.Table:
    try:
        arrow = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"{path} is not a readable Parquet file: {error}") from error
    for column in table.columns:
        if column not in arrow.column_names and column in table.nullable:
            arrow = arrow.append_column(column, pa.nulls(len(arrow), ARROW[table.columns[column]]))
        elif column not in arrow.column_names:
            raise TableError(f"{path}: the column {column!r} is missing ({table.name} table)")
    arrow = arrow.select(list(table.columns))
    try:
        return arrow.cast(pa.schema([(name, ARROW[kind]) for name, kind in table.columns.items()]))
    except pa.ArrowInvalid as error:
        raise TableError(f"{path} has a column of another type: {error}") from error


def _read_csv(path: Path, table: Table, *, extra: bool) -> pa.Table:
    header, rows = delimited.read(path)
    for column in table.columns:
        if column not in header and column not in table.nullable:
            raise TableError(
                f"{path}: the column {column!r} is missing (there are {', '.join(header)})"
            )
    texts = {name: [fields[i] for fields in rows] for i, name in enumerate(header)}
    arrays = {}
    for name, kind in table.columns.items():
        cells = texts.get(name, [""] * len(rows))
        arrays[name] = pa.array(_values(cells, kind, f"{path}", name), ARROW[kind])
    for name in header if extra else ():
        arrays.setdefault(name, pa.array(texts[name], pa.string()))
    return pa.table(arrays)


def _values(texts: list[str], kind: Kind, where: str, name: str) -> list[object]:
    if kind == "str":
        return [text or None for text in texts]
    values: list[object] = []
    for row, text in enumerate(texts, start=1):
        try:
            values.append(_value(text, kind))
        except (ValueError, KeyError) as error:
            raise TableError(f"{where}, row {row}: {name} {text!r} is not {kind}") from error
    return values


def _value(text: str, kind: Kind) -> object:
    if kind == "bool":
        return BOOLS[text.strip().lower()]
    return int(text) if kind == "int" else float(text)
