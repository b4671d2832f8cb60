"""The rules of a table, and the check of them: an error names the first bad row and a remedy.

N = rows, D = distinct texts of a column.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype

from soundjudge.errors import SoundjudgeError

Series: TypeAlias = "pd.Series[Any]"
Kind = Literal["str", "int", "float", "bool"]


@dataclass(frozen=True, kw_only=True)
class TextColumn:
    """A column of N texts: the code of each row, and the text of each code."""

    name: str
    codes: NDArray[np.integer[Any]]  # (N,) 0 to D - 1, or -1 where the cell is empty
    texts: Series  # (D,)

    def rows_with(self, bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows have a text that is `bad`. (D,) -> (N,)"""
        flags = np.append(bad, False)  # the last for -1
        rows: NDArray[np.bool_] = flags[self.codes]
        return rows

    def at(self, row: int) -> str | None:
        """The text of a row; None where the cell is empty."""
        code = int(self.codes[row])
        return None if code < 0 else str(self.texts.iloc[code])


def check_not_blank(column: TextColumn, where: str) -> None:
    """SoundjudgeError if a cell has nothing but blanks."""
    blank = column.texts.str.strip().eq("").to_numpy(dtype=np.bool_)
    bad = column.rows_with(blank) | (column.codes < 0)
    if bad.any():
        cell = f"{first_bad_row(bad)}: {column.name} is empty{bad_row_count(bad)}"
        raise SoundjudgeError(f"{where}, {cell}: fill it in or remove the row")


def check_file_names(column: TextColumn, where: str) -> None:
    """SoundjudgeError if a file name is absolute or leads out of its folder, on any system."""
    # Few names have these characters at all: only they are parsed.
    suspect = column.texts.str.contains(r"^[/\\]|:|\.\.", regex=True).to_numpy(dtype=np.bool_)
    outside = np.zeros(len(suspect), dtype=np.bool_)  # (D,)
    for code in np.flatnonzero(suspect):
        outside[code] = _leaves_folder(column.texts.iloc[code])
    bad = column.rows_with(outside)
    if bad.any():
        name = f"{column.name} {column.at(int(bad.argmax()))!r}"
        raise SoundjudgeError(
            f"{where}, {first_bad_row(bad)}: {name} must be a file name relative to its folder, "
            f"without '..'{bad_row_count(bad)}: correct it or remove the row"
        )


def check_unique(columns: Sequence[TextColumn], where: str) -> None:
    """SoundjudgeError if two rows have the same texts in all of these columns."""
    rows = len(columns[0].codes)
    codes, size = np.zeros(rows, dtype=np.int64), 1  # of the texts of all columns so far
    for column in columns:
        texts = len(column.texts) + 1  # + 1: empty
        if size * texts > np.iinfo(np.int64).max:
            codes, size = pd.factorize(codes)[0], rows
        codes, size = codes * texts + column.codes + 1, size * texts
    repeated = pd.Series(codes).duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        earlier = int((codes == codes[row]).argmax())
        values = ", ".join(f"{column.name} {column.at(row)!r}" for column in columns)
        raise SoundjudgeError(
            f"{where}, row {row + 1}: {values} stands here a second time, after row "
            f"{earlier + 1}: keep one of the rows"
        )


def check_determines(first: TextColumn, second: TextColumn, where: str) -> None:
    """SoundjudgeError if two rows have the same `first` text and not the same `second` one."""
    partner = np.zeros(len(first.texts) + 1, dtype=second.codes.dtype)  # (D + 1,) any one of each
    partner[first.codes] = second.codes
    if not np.array_equal(partner[first.codes], second.codes):
        first_rows = np.zeros(len(partner), dtype=np.intp)  # (D + 1,)
        first_rows[first.codes[::-1]] = np.arange(len(first.codes))[::-1]
        row = int((second.codes != second.codes[first_rows[first.codes]]).argmax())
        earlier = int(first_rows[first.codes[row]])
        here, there = second.at(row), second.at(earlier)
        has = f"no {second.name}" if here is None else f"the {second.name} {here!r}"
        raise SoundjudgeError(
            f"{where}, row {row + 1}: {first.name} {first.at(row)!r} has {has}, but "
            f"{'none' if there is None else repr(there)} in row {earlier + 1}: correct one, or "
            f"give one of them another {first.name}"
        )


def first_bad_row(bad: NDArray[np.bool_]) -> str:
    """Which row is the first bad one, counted from 1."""
    return f"row {int(bad.argmax()) + 1}"


def bad_row_count(bad: NDArray[np.bool_]) -> str:
    """How many bad rows there are, if several."""
    return f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""


def _leaves_folder(name: str) -> bool:
    windows = PureWindowsPath(name)
    rooted = PurePosixPath(name).is_absolute() or bool(windows.drive or windows.root)
    return rooted or ".." in windows.parts


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
    exact: bool = False
    """Whether CSV keeps all digits of floats, and not only `precision.SIGNIFICANT_DIGITS`."""

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
    texts: dict[str, TextColumn] = {}
    for column, kind in table.columns.items():
        if column not in frame:
            raise SoundjudgeError(f"{where}: the column {column!r} is missing ({table.name} table)")
        nullable = column in table.nullable
        if kind == "str":
            texts[column] = _text_column(frame[column], column, where)
            if not nullable:
                check_not_blank(texts[column], where)
        else:
            _check_number(frame[column], kind, nullable=nullable, where=where)
    for column, (low, high) in table.ranges.items():
        outside = ~frame[column].between(low, high).to_numpy()
        reason = f"lies outside {low:g} to {high:g}"
        _refuse(outside, frame[column], where, reason, "bring all to that scale or remove the row")
    for column in table.files:
        check_file_names(texts[column], where)
    if table.key:
        check_unique([texts[name] for name in table.key], where)
    for first, second in table.determines:
        check_determines(texts[first], texts[second], where)


def _text_column(values: Series, name: str, where: str) -> TextColumn:
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, texts = values.cat.codes.to_numpy(), values.cat.categories
    else:
        if not isinstance(values.dtype, pd.StringDtype) and (
            infer_dtype(values) not in ("string", "empty")  # fast; only then one by one
        ):
            is_text = values.map(lambda value: isinstance(value, str)).to_numpy(dtype=np.bool_)
            bad = ~is_text & ~values.isna().to_numpy()
            _refuse(bad, values, where, "is not text", "store it as text")
        codes, texts = pd.factorize(values)
    return TextColumn(name=name, codes=codes, texts=pd.Series(texts, dtype="str"))


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


def _refuse(bad: NDArray[np.bool_], values: Series, where: str, reason: str, remedy: str) -> None:
    if bad.any():
        value = values.iloc[int(bad.argmax())]
        shown = repr(value) if isinstance(value, str) else str(value)
        raise SoundjudgeError(
            f"{where}, {first_bad_row(bad)}: {values.name} {shown} {reason}"
            f"{bad_row_count(bad)}: {remedy}"
        )
