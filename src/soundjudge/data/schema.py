"""What a table promises, and the check of it: the first bad row is named."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from soundjudge.data.delimited import TableError

Kind = Literal["str", "int", "float", "bool"]
Series: TypeAlias = "pd.Series[Any]"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table's columns in order, and the rules that every row keeps."""

    name: str
    columns: dict[str, Kind]
    key: tuple[str, ...] = ()
    """Columns whose values together name a row once."""
    nullable: tuple[str, ...] = ()
    """Columns that may be absent from a file or have empty cells; all others are full."""
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """Columns with file names relative to a folder: no absolute path, no '..'."""
    determines: tuple[tuple[str, str], ...] = ()
    """(a, b): rows with the same a have the same b."""

    def without(self, *names: str) -> "Table":
        """The same table with fewer columns, for files of people who have no such column."""
        return Table(
            name=self.name,
            columns={name: kind for name, kind in self.columns.items() if name not in names},
            key=() if set(self.key) & set(names) else self.key,
            nullable=tuple(name for name in self.nullable if name not in names),
            ranges={name: limits for name, limits in self.ranges.items() if name not in names},
            files=tuple(name for name in self.files if name not in names),
            determines=tuple(pair for pair in self.determines if not set(pair) & set(names)),
        )


def check(frame: pd.DataFrame, table: Table, where: str) -> None:
    """Raises TableError, with the first bad row, unless the frame keeps the table's rules."""
    for column, kind in table.columns.items():
        if column not in frame:
            raise TableError(f"{where}: the column {column!r} is missing ({table.name} table)")
        _check_column(frame[column], kind, column in table.nullable, where)
    for column, (low, high) in table.ranges.items():
        outside = ~frame[column].between(low, high)
        _refuse(outside, frame[column], where, f"lies outside {low:g} to {high:g}")
    for column in table.files:
        leaves = frame[column].map(_leaves_folder).astype(bool)
        _refuse(
            leaves, frame[column], where, "must be a file name relative to its folder, without '..'"
        )
    if table.key:
        again = frame.duplicated(list(table.key)).to_numpy()
        if again.any():
            row = int(again.argmax())
            values = ", ".join(f"{name} {frame[name].iloc[row]!r}" for name in table.key)
            raise TableError(f"{where}, row {row + 1}: {values} stands here a second time")
    for first, second in table.determines:
        distinct = frame[[first, second]].drop_duplicates()
        conflict = frame[first].isin(distinct[first][distinct[first].duplicated()])
        _refuse(conflict, frame[first], where, f"stands with more than one {second}")


def _check_column(values: Series, kind: Kind, nullable: bool, where: str) -> None:
    if values.empty:  # an empty frame need not know its types
        return
    null = values.isna()
    if kind != "float" and not nullable:
        _refuse(null, values, where, "is empty")
    if kind == "str":
        is_text = values.map(lambda value: isinstance(value, str)).astype(bool)
        _refuse(~is_text & ~null, values, where, "is not text")
        if not nullable:
            _refuse(values.str.strip().eq(""), values, where, "is empty")
        return
    wanted = {"int": "iu", "float": "fiu", "bool": "b"}[kind]
    if values.dtype.kind not in wanted:
        raise TableError(f"{where}: column {values.name!r} is {values.dtype}, not {kind}")
    if kind == "float":
        _refuse(values.isin([np.inf, -np.inf]) | null, values, where, "is not a finite number")


def _refuse(bad: Series, values: Series, where: str, reason: str) -> None:
    if bad.any():
        row = int(bad.to_numpy().argmax())
        more = f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""
        value = values.iloc[row]
        shown = repr(value) if isinstance(value, str) else str(value)
        raise TableError(f"{where}, row {row + 1}: {values.name} {shown} {reason}{more}")


def _leaves_folder(name: str) -> bool:
    windows = PureWindowsPath(name)
    rooted = PurePosixPath(name).is_absolute() or bool(windows.drive or windows.root)
    return rooted or ".." in windows.parts
