"""The rules of a table, and the check of them: an error names the first bad row and a remedy."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype

from soundjudge.data.tables import text_columns
from soundjudge.data.tables.text_columns import Series, TextColumn
from soundjudge.errors import SoundjudgeError

Kind = Literal["str", "int", "float", "bool"]


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
                text_columns.check_not_blank(texts[column], where)
        else:
            _check_number(frame[column], kind, nullable=nullable, where=where)
    for column, (low, high) in table.ranges.items():
        outside = ~frame[column].between(low, high).to_numpy()
        reason = f"lies outside {low:g} to {high:g}"
        _refuse(outside, frame[column], where, reason, "bring all to that scale or remove the row")
    for column in table.files:
        text_columns.check_file_names(texts[column], where)
    if table.key:
        text_columns.check_unique([texts[name] for name in table.key], where)
    for first, second in table.determines:
        text_columns.check_determines(texts[first], texts[second], where)


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
            f"{where}, {text_columns.first_bad_row(bad)}: {values.name} {shown} {reason}"
            f"{text_columns.bad_row_count(bad)}: {remedy}"
        )
