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
from soundjudge.data import columns, headers
from soundjudge.data.delimited import TableError as TableError
from soundjudge.data.schema import Table as Table
from soundjudge.data.schema import check as check

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
    columns={
        "caption_id": "str",
        "clip_id": "str",
        "corpus": "str",
        "text": "str",
        "label": "str",  # the clip's class, where its corpus has classes
    },
    key=("caption_id",),
    nullable=("label",),
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
        "spo_score": "float",  # mean of standardized ratings
        "latent_score": "float",  # quality as the latent model has it, in rating points
        "latent_se": "float",  # its standard error
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
    columns={
        "clip_id": "str",
        "caption_id": "str",
        "matched": "bool",
        "clap_score": "float",
        "kind": "str",  # of a mismatched pair: random, hard or same_label
    },
    key=("clip_id", "caption_id"),
    nullable=("kind",),
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
    if path.is_dir():
        raise TableError(f"{path} is a folder: name a file ({table.name} table)")
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
    """Writes the checked columns, floats in full precision; refuses a column not in the table.

    A nullable column that the frame lacks is written empty.
    """
    strangers = [column for column in frame.columns if column not in table.columns]
    if strangers:
        raise TableError(f"{path}: the {table.name} table has no column {strangers[0]!r}")
    absent = [column for column in table.nullable if column not in frame]
    frame = frame.assign(**dict.fromkeys(absent))
    check(frame, table, str(path))
    frame = frame[list(table.columns)]
    with atomic_file(path) as temporary:
        if path.suffix == ".parquet":
            arrow = pa.Table.from_pandas(frame, schema=_schema(table), preserve_index=False)
            # pandas' own metadata names its version, which must not change the bytes.
            pq.write_table(arrow.replace_schema_metadata(None), temporary, compression="zstd")
        elif path.suffix == ".csv":
            names = [name for name, kind in table.columns.items() if kind == "str"]
            texts = [frame[name].astype("str") for name in names]
            # The csv writer leaves a lone carriage return unquoted, which no reader takes.
            returns = any(text.str.contains("\r", regex=False).any() for text in texts)
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
            nulls = pa.nulls(len(arrow), columns.ARROW[table.columns[column]])
            arrow = arrow.append_column(column, nulls)
        elif column not in arrow.column_names:
            raise TableError(f"{path}: the column {column!r} is missing ({table.name} table)")
    try:
        return arrow.select(list(table.columns)).cast(_schema(table))
    except pa.ArrowInvalid as error:
        raise TableError(f"{path} has a column of another type: {error}") from error


def _read_csv(path: Path, table: Table, *, extra: bool) -> pa.Table:
    texts = columns.read(path)
    for column in table.columns:
        if column not in texts.column_names and column not in table.nullable:
            raise headers.missing(column, texts.column_names, path)
    arrays = {}
    for name, kind in table.columns.items():
        if name in texts.column_names:
            nullable = name in table.nullable
            arrays[name] = columns.values(
                texts[name], kind, nullable=nullable, where=str(path), name=name
            )
        else:
            arrays[name] = pa.nulls(len(texts), columns.ARROW[kind])
    for name in texts.column_names if extra else ():
        arrays.setdefault(name, texts[name])
    return pa.table(arrays)


def _schema(table: Table) -> pa.Schema:
    return pa.schema([(name, columns.ARROW[kind]) for name, kind in table.columns.items()])
