"""Tables that people wrote, CSV or Parquet: read strictly, errors with the row and a remedy."""

from pathlib import Path

import pandas as pd

from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import Kind, Table, check_table
from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.column_names import missing_column_error
from soundjudge.errors import SoundjudgeError

BOOLS = {"true": True, "false": False}
MAX_INT = 2**63 - 1
KIND_REMEDIES: dict[Kind, str] = {
    "int": "a whole number: write it like 7",
    "float": "a number: write it like 7.5, or remove the row",
    "bool": "true or false: write one of them",
}
DTYPES: dict[Kind, str] = {"str": "str", "int": "Int64", "float": "float64", "bool": "boolean"}


def read_user_table(path: Path, table: Table, *, extra: bool = False) -> pd.DataFrame:
    """The checked rows of a file, columns in the table's order; `extra` keeps others as text.

    A nullable column that the file lacks comes back empty. Raises SoundjudgeError.
    """
    if path.is_dir():
        raise SoundjudgeError(f"{path} is a folder: name a file ({table.name} table)")
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist ({table.name} table)")
    if path.suffix == ".parquet":
        return tables.read_table(path, table)
    if path.suffix != ".csv":
        raise SoundjudgeError(f"{path}: the {table.name} table is read from .csv or .parquet")
    frame = _read_csv(path, table, extra=extra)
    check_table(frame[list(table.columns)], table, str(path))
    return frame


def _read_csv(path: Path, table: Table, *, extra: bool) -> pd.DataFrame:
    header, rows = delimited.read_rows(path)
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
        further = {name: pd.Series(columns.get(name, ()), dtype="str") for name in header}
        frame |= {name: cells for name, cells in further.items() if name not in frame}
    return pd.DataFrame(frame)


def _value(cell: str, kind: Kind, *, nullable: bool, where: str) -> str | int | float | bool | None:
    """What a cell says; None for an empty one, which a later check may refuse."""
    if cell == "" and (nullable or kind == "str"):
        return None
    value: str | int | float | bool | None = None
    if kind == "str":
        return cell
    if kind == "bool":
        value = BOOLS.get(cell.strip().lower())
    else:
        try:
            value = int(cell) if kind == "int" else float(cell)
        except ValueError:
            value = None
        if kind == "int" and value is not None and abs(value) > MAX_INT:
            value = None
    if value is None:
        raise SoundjudgeError(f"{where} {cell!r} is not {KIND_REMEDIES[kind]}")
    return value


def _dtype(kind: Kind, values: list[str | int | float | bool | None]) -> str:
    whole = {"int": "int64", "bool": "bool"}
    return DTYPES[kind] if kind not in whole or None in values else whole[kind]
