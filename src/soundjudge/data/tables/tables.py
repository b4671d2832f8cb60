"""Every table between stages: its columns, one reader and one writer.

Parquet between stages, CSV where people read; the suffix decides. Ids are always text ("00000"
stays). Rows are counted from 1, without the header of a CSV. CSV files of users are read by
`data.user_files`.
"""

import csv
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from soundjudge.data.tables.schema import Table, check_table
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.rounding import FLOAT32_DIGITS, round_float

ARROW_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}

SAMPLE_RATE = 16_000  # Hz, of every stored clip and of every waveform in memory
RATED_CORPUS = "xacle"  # the corpus of rated pairs: its clip ids contain its file names
SILENCE_CORPUS = "silence"  # the clips that `prepare` makes itself

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
        "latent_score": "float",  # quality in the latent model, in rating points
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
        "kind": "str",  # of a mismatched pair: random, hard, same_label or silent
    },
    key=("clip_id", "caption_id"),
    nullable=("kind",),
)
PREDICTIONS = Table(
    name="predictions",
    columns={"wav_file_name": "str", "text": "str", "pred_score": "float"},
    key=("wav_file_name", "text"),
    files=("wav_file_name",),
    digits=FLOAT32_DIGITS,  # fewer would tie pairs that a model ranks
)
REJECTED = Table(name="rejected", columns={"corpus": "str", "file": "str", "reason": "str"})


def rated_clip_id(wav_file_name: str) -> str:
    """The clip id of a rated sound."""
    return f"{RATED_CORPUS}/{wav_file_name}"


def read_table(path: Path, table: Table) -> pd.DataFrame:
    """The checked rows of a table that a stage wrote, columns in the table's order.

    A nullable column that the file lacks comes back empty. Raises SoundjudgeError.
    """
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist: run the stage that writes it")
    is_csv = path.suffix == ".csv"
    try:
        arrow = _read_csv(path, table) if is_csv else pq.read_table(path)
        present = set(arrow.column_names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of column names
        kind = "CSV" if is_csv else "Parquet"
        raise SoundjudgeError(f"{path} is not a readable {kind} file: {error}") from error
    for name, kind in table.columns.items():
        if name not in present:
            if name not in table.nullable:
                raise SoundjudgeError(f"{path}: the column {name!r} is missing")
            arrow = arrow.append_column(name, pa.nulls(len(arrow), ARROW_TYPES[kind]))
    try:
        frame: pd.DataFrame = arrow.select(list(table.columns)).cast(_schema(table)).to_pandas()
    except pa.ArrowInvalid as error:
        raise SoundjudgeError(f"{path} has a column of another type: {error}") from error
    check_table(frame, table, str(path))
    return frame


def write_table(frame: pd.DataFrame, path: Path, table: Table) -> None:
    """Writes the checked columns, floats of CSV rounded unless the table is `exact`.

    A nullable column that the frame lacks is written empty; a column not in the table is refused.
    """
    unknown = [column for column in frame.columns if column not in table.columns]
    if unknown:
        raise SoundjudgeError(f"{path}: the {table.name} table has no column {unknown[0]!r}")
    absent = [column for column in table.nullable if column not in frame]
    frame = frame.assign(**dict.fromkeys(absent))
    check_table(frame, table, str(path))
    frame = frame[list(table.columns)]
    with artifacts.atomic_file(path) as temporary:
        if path.suffix == ".parquet":
            arrow = pa.Table.from_pandas(frame, schema=_schema(table), preserve_index=False)
            # pandas' own metadata names its version, which must not change the bytes.
            pq.write_table(arrow.replace_schema_metadata(None), temporary, compression="zstd")
        elif path.suffix == ".csv":
            _write_csv(frame, temporary, table)
        else:
            raise SoundjudgeError(f"{path}: the {table.name} table is written to .csv or .parquet")


def _read_csv(path: Path, table: Table) -> pa.Table:
    return arrow_csv.read_csv(
        path,
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: ARROW_TYPES[kind] for name, kind in table.columns.items()},
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _write_csv(frame: pd.DataFrame, path: Path, table: Table) -> None:
    names = [name for name, kind in table.columns.items() if kind == "str"]
    texts = [frame[name].astype("str") for name in names]
    # The csv writer leaves a lone carriage return unquoted, which no reader accepts.
    has_returns = any(text.str.contains("\r", regex=False).any() for text in texts)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if has_returns else csv.QUOTE_MINIMAL
    floats = [name for name, kind in table.columns.items() if kind == "float"]
    rounded = {name: [round_float(x, table.digits) for x in frame[name]] for name in floats}
    frame = frame.assign(**rounded)
    frame.to_csv(path, index=False, lineterminator="\n", quoting=quoting)


def _schema(table: Table) -> pa.Schema:
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in table.columns.items()])
