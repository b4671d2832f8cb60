"""The rules of a table, and the check of them: an error names the first bad row and a remedy."""

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype

from soundjudge.data.tables.texts import is_blank
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.rounding import SIGNIFICANT_DIGITS

Kind = Literal["str", "int", "float", "bool"]
Series: TypeAlias = "pd.Series[Any]"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table's columns in order, and the rules that every row keeps."""

    name: str
    columns: dict[str, Kind]
    key: tuple[str, ...] = ()
    """Text columns whose values together name a row once."""
    nullable: tuple[str, ...] = ()
    """Columns that may be absent from a file or have empty cells; no other may."""
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """Text columns of file names relative to a folder: no absolute path, no '..'."""
    determines: tuple[tuple[str, str], ...] = ()
    """(a, b), text columns: rows with the same a have the same b."""
    digits: int = SIGNIFICANT_DIGITS
    """Significant digits of floats in CSV; Parquet keeps all."""

    def without(self, *names: str) -> "Table":
        """The same table with fewer columns, for files of users who have no such column."""
        return replace(
            self,
            columns={name: kind for name, kind in self.columns.items() if name not in names},
            key=() if set(self.key) & set(names) else self.key,
            nullable=tuple(name for name in self.nullable if name not in names),
            ranges={name: limits for name, limits in self.ranges.items() if name not in names},
            files=tuple(name for name in self.files if name not in names),
            determines=tuple(pair for pair in self.determines if not set(pair) & set(names)),
        )


def check_table(frame: pd.DataFrame, table: Table, where: str) -> None:
    """Raises SoundjudgeError, with the first bad row, unless the frame keeps the table's rules."""
    for column, kind in table.columns.items():
        if column not in frame:
            raise SoundjudgeError(f"{where}: the column {column!r} is missing ({table.name} table)")
        nullable = column in table.nullable
        if kind == "str":
            _check_text(frame[column], nullable=nullable, where=where)
        else:
            _check_number(frame[column], kind, nullable=nullable, where=where)
    for column, (low, high) in table.ranges.items():
        outside = ~frame[column].between(low, high).to_numpy()
        reason = f"lies outside {low:g} to {high:g}"
        _refuse(outside, frame[column], where, reason, "bring all to that scale or remove the row")
    for column in table.files:
        _check_file_names(frame[column], where)
    if table.key:
        _check_unique(frame[list(table.key)], where)
    for first, second in table.determines:
        _check_determines(frame[[first, second]], where)


def _check_text(values: Series, *, nullable: bool, where: str) -> None:
    is_category = isinstance(values.dtype, pd.CategoricalDtype)
    is_known = is_category or isinstance(values.dtype, pd.StringDtype)
    if not is_known and infer_dtype(values) not in ("string", "empty"):  # only then one by one
        is_text = values.map(lambda value: isinstance(value, str)).to_numpy(dtype=np.bool_)
        other = ~is_text & ~values.isna().to_numpy()
        _refuse(other, values, where, "is not text", "store it as text")
    distinct = values.cat.categories.to_series() if is_category else values  # few, of many rows
    if nullable or not (values.isna().any() or _is_blank(distinct).any()):
        return
    bad = values.isna().to_numpy(dtype=np.bool_) | _is_blank(values)
    if bad.any():
        cell = f"{_first_row(bad)}: {values.name} is empty{_count(bad)}"
        raise SoundjudgeError(f"{where}, {cell}: fill it in or remove the row")


def _is_blank(values: Series) -> NDArray[np.bool_]:
    texts = values.astype("str")
    visible = texts.str.contains("[0-9A-Za-z]", regex=True, na=True)
    blank: NDArray[np.bool_] = ~visible.to_numpy(dtype=np.bool_)
    if blank.any():
        blank[blank] = [is_blank(text) for text in texts[blank]]  # of the few that may be
    return blank


def _check_number(values: Series, kind: Kind, *, nullable: bool, where: str) -> None:
    if values.empty:  # an empty frame need not know its types
        return
    if kind != "float" and not nullable:
        _refuse(values.isna().to_numpy(), values, where, "is empty", "fill it in or remove the row")
    dtype_kinds = {"int": "iu", "float": "fiu", "bool": "b"}[kind]
    if values.dtype.kind not in dtype_kinds:
        raise SoundjudgeError(f"{where}: column {values.name!r} is {values.dtype}, not {kind}")
    if kind == "float":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.isinf(numbers) if nullable else ~np.isfinite(numbers)
        _refuse(bad, values, where, "is not a finite number", "correct or remove the row")


def _check_file_names(values: Series, where: str) -> None:
    """No name is absolute or leads out of its folder, on any system."""
    # Few names have these characters at all: only they are parsed.
    suspect = values.astype("str").str.contains(r"^[/\\]|:|\.\.", regex=True, na=False)
    bad = suspect.to_numpy(dtype=np.bool_, copy=True)
    bad[bad] = [_leaves_folder(name) for name in values[bad]]
    if bad.any():
        raise SoundjudgeError(
            f"{where}, {_first_row(bad)}: {_cell(values, int(bad.argmax()))} must be a file name "
            f"relative to its folder, without '..'{_count(bad)}: correct it or remove the row"
        )


def _check_unique(columns: pd.DataFrame, where: str) -> None:
    """No two rows have the same texts in all of these columns."""
    repeated = columns.duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        earlier = int((~columns[: row + 1].duplicated(keep=False)).argmin())
        texts = ", ".join(_cell(columns[name], row) for name in columns)
        raise SoundjudgeError(
            f"{where}, row {row + 1}: {texts} stands here a second time, after row "
            f"{earlier + 1}: keep one of the rows"
        )


def _check_determines(columns: pd.DataFrame, where: str) -> None:
    """Rows with the same text in the first column have the same in the second."""
    rows = columns.reset_index(drop=True).drop_duplicates()
    first, second = (rows[name] for name in rows)
    again = first.duplicated().to_numpy()
    if again.any():
        at = int(again.argmax())
        earlier = int(first.eq(first.iloc[at]).to_numpy().argmax())
        row, value, before = int(rows.index[at]), second.iloc[at], second.iloc[earlier]
        has = f"no {second.name}" if pd.isna(value) else f"the {second.name} {value!r}"
        raise SoundjudgeError(
            f"{where}, row {row + 1}: {_cell(columns[first.name], row)} has {has}, but "
            f"{'none' if pd.isna(before) else repr(before)} in row {rows.index[earlier] + 1}: "
            f"correct one, or give one of them another {first.name}"
        )


def _refuse(bad: NDArray[np.bool_], values: Series, where: str, reason: str, remedy: str) -> None:
    if bad.any():
        value = values.iloc[int(bad.argmax())]
        shown = repr(value) if isinstance(value, str) else str(value)
        raise SoundjudgeError(
            f"{where}, {_first_row(bad)}: {values.name} {shown} {reason}{_count(bad)}: {remedy}"
        )


def _cell(values: Series, row: int) -> str:
    value = values.iloc[row]
    return f"{values.name} {None if pd.isna(value) else value!r}"


def _first_row(bad: NDArray[np.bool_]) -> str:
    """Which row is the first bad one, counted from 1."""
    return f"row {int(bad.argmax()) + 1}"


def _count(bad: NDArray[np.bool_]) -> str:
    """How many bad rows there are, if several."""
    return f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""


def _leaves_folder(name: str) -> bool:
    windows = PureWindowsPath(name)
    rooted = PurePosixPath(name).is_absolute() or bool(windows.drive or windows.root)
    return rooted or ".." in windows.parts
