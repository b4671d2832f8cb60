"""Tables that users wrote: read strictly, errors with the row and a remedy.

CSV, TSV, JSON Lines or Parquet: the suffix decides.
"""

import difflib
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from soundjudge.data.tables import spellings, tables
from soundjudge.data.tables.schema import Kind, Table, check_table
from soundjudge.data.user_files import delimited, file_kinds, id_forms, parquet_files
from soundjudge.errors import SoundjudgeError

NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
# Python's own float also takes 1_0, digits of any script, nan and infinity.
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
PARQUET_TYPES: dict[Kind, tuple[tuple[Callable[[pa.DataType], bool], ...], str]] = {
    "str": ((pa.types.is_string, pa.types.is_large_string, pa.types.is_integer), "text"),
    "float": ((pa.types.is_floating, pa.types.is_integer), "a number"),
}
SPELLINGS = {
    "wav_file_name": ("wave_file_name", "wavname", "path", "audio", "file", "filename", "stimulus"),
    "text": ("caption", "prompt"),
    "listener_id": (
        *("listener", "rater", "rater_id", "worker_id"),
        *("participant", "participant_id", "subject", "subject_id", "annotator"),
    ),
    "score": ("rating", "response"),
    "average_score": ("average_semantic_alignement_score",),
}
"""What users and the challenge's own pages write for our columns."""
AVERAGES = ("average_score", "mean_score", "average_semantic_alignement_score")


def read_user_table(
    path: Path,
    table: Table,
    *,
    names: Mapping[str, str] | None = None,
    join_lines: bool = False,
) -> pd.DataFrame:
    """The checked rows of a file, columns in the table's order; others are left out.

    A nullable column that the file lacks comes back empty. `names` maps other names that columns
    may have to the table's. Ids that differ only by their spelling are refused. For `join_lines`
    see `delimited.read_rows`. Raises SoundjudgeError.
    """
    if path.is_dir():
        raise SoundjudgeError(f"{path} is a folder: name a file ({table.name} table)")
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist ({table.name} table)")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        _check_schema(parquet_files.read_schema(path), table, path)
        try:
            frame = tables.read_table(path, table)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise parquet_files.unreadable(path, error) from error
    else:
        _check_suffix(path, f"the {table.name} table")
        header, rows = delimited.read_rows(path, join_lines=join_lines)
        frame = _to_frame(rename(header, names or {}, path), rows, path, table)
        check_table(frame, table, str(path))
    spellings.check_ids(frame, str(path))
    id_forms.check_forms(frame, str(path))
    return frame


def read_header(path: Path) -> list[str]:
    """The names of a file's columns."""
    if path.suffix.lower() == ".parquet":
        return list(parquet_files.read_schema(path).names)
    _check_suffix(path, "a table")
    return delimited.read_header(path)


def _check_suffix(path: Path, what: str) -> None:
    if path.suffix.lower() not in delimited.SUFFIXES:
        if path.is_file():
            file_kinds.check_text(path)
        kinds = ", ".join(delimited.SUFFIXES)
        raise SoundjudgeError(f"{path}: {what} is read from {kinds} or .parquet")


def rename(header: list[str], names: Mapping[str, str], path: Path) -> list[str]:
    """The header with our names of columns. SoundjudgeError if two columns may be meant by one."""
    renamed = [names.get(name, name) for name in header]
    for ours in {*renamed} & {*names.values()}:
        if renamed.count(ours) > 1:
            meant = [repr(name) for name, new in zip(header, renamed, strict=True) if new == ours]
            raise SoundjudgeError(
                f"{path}: {ours} may be {' or '.join(meant)}: rename or remove those that are not "
                "meant"
            )
    return renamed


def _check_schema(schema: pa.Schema, table: Table, path: Path) -> None:
    """Ids may be whole numbers; nothing else is made of another type, as a cast would do."""
    _check_missing(schema.names, table, path)
    for name, kind in table.columns.items():
        if name not in schema.names:
            continue
        _check_twins(name, schema.names, path)
        stored = schema.field(name).type
        values = stored.value_type if pa.types.is_dictionary(stored) else stored
        fits, form = PARQUET_TYPES[kind]
        if not any(is_type(values) for is_type in fits):
            raise SoundjudgeError(f"{path}: {name} is {values}: store it as {form}")


def _to_frame(header: list[str], rows: list[list[str]], path: Path, table: Table) -> pd.DataFrame:
    _check_missing(header, table, path)
    for name in table.columns:
        _check_twins(name, header, path)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    frame = {}
    for name, kind in table.columns.items():
        cells = columns.get(name, [""] * len(rows))
        if kind == "str":
            frame[name] = pd.Series([cell or None for cell in cells], dtype="str")
            continue
        assert kind == "float", f"no user writes a column of {kind}"
        numbers = [
            _number(cell, nullable=name in table.nullable, where=f"{path}, row {row}: {name}")
            for row, cell in enumerate(cells, start=1)
        ]
        frame[name] = pd.Series(numbers, dtype="float64")
    return pd.DataFrame(frame)


def _number(cell: str, *, nullable: bool, where: str) -> float | None:
    """The number in a cell; None for an empty one."""
    if cell == "" and nullable:
        return None
    if NUMBER.fullmatch(cell.strip(" \t")):
        return float(cell)
    if NOT_FINITE.fullmatch(cell.strip()):
        reason = "is not a finite number: correct or remove the row"
        raise SoundjudgeError(f"{where} {cell} {reason}")
    remedy = "write it like 7.5, or remove the row"
    raise SoundjudgeError(f"{where} {cell!r} is not a number: {remedy}")


def _check_missing(header: Sequence[str], table: Table, path: Path) -> None:
    required = [name for name in table.columns if name not in table.nullable]
    if missing := [name for name in required if name not in header]:
        raise missing_columns_error(missing, header, path)


def _check_twins(column: str, header: Sequence[str], path: Path) -> None:
    """SoundjudgeError if another column could as well be meant by this name."""
    form = spellings.normal_form(column)
    for name in header:
        if name != column and spellings.normal_form(name) == form:
            raise SoundjudgeError(
                f"{path}: its columns {column!r} and {name!r} differ only in their spelling: "
                "rename or remove one"
            )


def missing_columns_error(
    missing: Sequence[str], header: Sequence[str], path: Path
) -> SoundjudgeError:
    """The error about all columns that a file with this `header` lacks."""
    listed = textwrap.shorten(", ".join(header), 300, placeholder=" ...")
    remedies = {name: _remedy(name, header, path) for name in missing}
    sentences = list(dict.fromkeys(filter(None, remedies.values())))  # one may be of two columns
    if unknown := [name for name, remedy in remedies.items() if not remedy]:
        what = _join(unknown) if sentences else "them" if unknown[1:] else "it"
        sentences.append(
            f"add {what}, rename the columns that hold them, or name the file that has them"
            if unknown[1:]
            else f"add {what}, rename the column that holds it, or name the file that has it"
        )
    columns = f"columns {_join(missing)} are" if missing[1:] else f"column {missing[0]!r} is"
    return SoundjudgeError(
        f"{path}: the {columns} missing (there are {listed}): {'; '.join(sentences)}"
    )


def _join(names: Sequence[str]) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} and {last}" if others else last


def has_text(header: Sequence[str], path: Path) -> bool:
    """Whether a file has texts, perhaps under a name that is to be corrected."""
    return "text" in header or _remedy("text", header, path).startswith("rename")


def _remedy(column: str, header: Sequence[str], path: Path) -> str:
    """What to do about a missing column; "" where nothing in the header reminds of it."""
    if len(header) == 1 and any(separator in header[0] for separator in ";\t|,"):
        return f"separate columns by {delimited.separators(path)}"
    averages = [name for name in header if name in AVERAGES]
    if column in ("listener_id", "score") and averages and "score" not in header:
        return f"{averages[0]!r} holds averages, and each listener's own ratings are needed"
    normalized = {name.strip().lower(): name for name in header}
    for spelling in (column, *SPELLINGS.get(column, ())):
        if spelling in normalized:
            return f"rename {normalized[spelling]!r} to {column!r}"
    if column == "listener_id" and not {"score", *SPELLINGS["score"]} & set(normalized):
        return "give each rating a row of its own, if each listener has a column (pandas.melt)"
    close = difflib.get_close_matches(column, header, n=1, cutoff=0.7)
    if close:
        return f"rename {close[0]!r} to {column!r}"
    return ""
