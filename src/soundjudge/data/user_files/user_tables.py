"""Tables that users wrote: read strictly, errors with the row and a remedy.

CSV, TSV, JSON Lines or Parquet: the suffix decides.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from soundjudge.data.tables import spellings, tables
from soundjudge.data.tables.schema import Kind, Table, check_table
from soundjudge.data.user_files import delimited, id_forms
from soundjudge.data.user_files.column_names import missing_column_error
from soundjudge.errors import SoundjudgeError

NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
BOOLS = {"true": True, "false": False}
MAX_INT = 2**63 - 1
# Python's own int and float also take 1_0, digits of any script, nan and infinity.
NUMBERS: dict[Kind, re.Pattern[str]] = {
    "int": re.compile(r"[+-]?[0-9]{1,30}"),
    "float": re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"),
}
KIND_REMEDIES: dict[Kind, str] = {
    "int": "a whole number: write it like 7",
    "float": "a number: write it like 7.5, or remove the row",
    "bool": "true or false: write one of them",
}
PARQUET_TYPES: dict[Kind, tuple[tuple[Callable[[pa.DataType], bool], ...], str]] = {
    "str": ((pa.types.is_string, pa.types.is_large_string, pa.types.is_integer), "text"),
    "int": ((pa.types.is_integer,), "a whole number"),
    "float": ((pa.types.is_floating, pa.types.is_integer), "a number"),
    "bool": ((pa.types.is_boolean,), "true or false"),
}
DTYPES: dict[Kind, str] = {"str": "str", "int": "Int64", "float": "float64", "bool": "boolean"}


def read_user_table(
    path: Path,
    table: Table,
    *,
    extra: bool = False,
    names: Mapping[str, str] | None = None,
    check_ids: bool = True,
    join_lines: bool = False,
) -> pd.DataFrame:
    """The checked rows of a file, columns in the table's order; `extra` keeps all others as text.

    A nullable column that the file lacks comes back empty. `names` maps other names that columns
    may have to the table's. `check_ids` refuses ids that differ only by their spelling. For
    `join_lines` see `delimited.read_rows`. Raises SoundjudgeError.
    """
    if path.is_dir():
        raise SoundjudgeError(f"{path} is a folder: name a file ({table.name} table)")
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist ({table.name} table)")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        _check_schema(_read_schema(path), table, path)
        frame = tables.read_table(path, table)
    elif suffix in delimited.SUFFIXES:
        header, rows = delimited.read_rows(path, join_lines=join_lines)
        frame = _to_frame(rename(header, names or {}), rows, path, table, extra=extra)
        check_table(frame[list(table.columns)], table, str(path))
    else:
        kinds = ", ".join(delimited.SUFFIXES)
        raise SoundjudgeError(f"{path}: the {table.name} table is read from {kinds} or .parquet")
    if check_ids:
        spellings.check_ids(frame, str(path))
        id_forms.check_forms(frame, str(path))
    return frame


def read_header(path: Path) -> list[str]:
    """The names of a file's columns."""
    if path.suffix.lower() != ".parquet":
        return delimited.read_header(path)
    return list(_read_schema(path).names)


def rename(header: list[str], names: Mapping[str, str]) -> list[str]:
    """The header with our names of columns, where it lacks them."""
    return [names[name] if name in names and names[name] not in header else name for name in header]


def _read_schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise SoundjudgeError(f"{path} is not a readable Parquet file: {error}") from error


def _check_schema(schema: pa.Schema, table: Table, path: Path) -> None:
    """Ids may be whole numbers; nothing else is made of another type, as a cast would do."""
    for name, kind in table.columns.items():
        if name not in schema.names:
            if name not in table.nullable:
                raise missing_column_error(name, schema.names, path)
            continue
        stored = schema.field(name).type
        values = stored.value_type if pa.types.is_dictionary(stored) else stored
        fits, form = PARQUET_TYPES[kind]
        if not any(is_type(values) for is_type in fits):
            raise SoundjudgeError(f"{path}: {name} is {values}: store it as {form}")


def _to_frame(
    header: list[str], rows: list[list[str]], path: Path, table: Table, *, extra: bool
) -> pd.DataFrame:
    for name in table.columns:
        if name not in header and name not in table.nullable:
            raise missing_column_error(name, header, path)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    frame = {}
    for name, kind in table.columns.items():
        cells = columns.get(name, [""] * len(rows))
        values = [
            _value(cell, kind, nullable=name in table.nullable, where=f"{path}, row {row}: {name}")
            for row, cell in enumerate(cells, start=1)
        ]
        frame[name] = pd.Series(values, dtype=_dtype(kind, values))
    if extra:
        others = [name for name in header if name not in frame]
        frame |= {name: pd.Series(columns.get(name, ()), dtype="str") for name in others}
    return pd.DataFrame(frame)


def _value(cell: str, kind: Kind, *, nullable: bool, where: str) -> str | int | float | bool | None:
    """The value of a cell; None for an empty one, which `check_table` may refuse."""
    if cell == "" and (nullable or kind == "str"):
        return None
    value: str | int | float | bool | None = None
    if kind == "str":
        return cell
    if kind == "bool":
        value = BOOLS.get(cell.strip().lower())
    else:
        if NUMBERS[kind].fullmatch(cell.strip(" \t")):
            value = int(cell) if kind == "int" else float(cell)
        elif kind == "float" and NOT_FINITE.fullmatch(cell.strip()):
            reason = "is not a finite number: correct or remove the row"
            raise SoundjudgeError(f"{where} {cell} {reason}")
        if isinstance(value, int) and abs(value) > MAX_INT:
            value = None
    if value is None:
        raise SoundjudgeError(f"{where} {cell!r} is not {KIND_REMEDIES[kind]}")
    return value


def _dtype(kind: Kind, values: list[str | int | float | bool | None]) -> str:
    full = {"int": "int64", "bool": "bool"}
    return DTYPES[kind] if kind not in full or None in values else full[kind]
