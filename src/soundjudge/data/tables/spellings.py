"""Ids that people spelled in two ways: they would count as two listeners or two sounds."""

import re
import unicodedata
from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from soundjudge.data.tables.schema import Series, TextColumn
from soundjudge.errors import SoundjudgeError

IDS = ("wav_file_name", "listener_id", "model_id")
NUMBER = re.compile(r"\d+(\.0*)?", re.ASCII)


def normal_form(text: str) -> str:
    """What spellings of one id share.

    Spellings differ by case, blanks, Unicode form, invisible characters, zeros around a whole
    number.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    text = " ".join(text.casefold().split())
    return str(int(float(text))) if len(text) < 16 and NUMBER.fullmatch(text) else text


def check_ids(frame: pd.DataFrame, where: str) -> None:
    """SoundjudgeError, with both spellings and rows, if one id has two spellings in the frame."""
    for name in IDS:
        if name in frame:
            check_spellings(text_column(frame[name], name), where)


def text_column(values: Series, name: str) -> TextColumn:
    """A column of a frame, its empty cells left out."""
    codes, texts = pd.factorize(values)
    return TextColumn(name=name, codes=codes, texts=pd.Series(texts, dtype="str"))


def check_spellings(column: TextColumn, where: str) -> None:
    """SoundjudgeError if two texts of the column are spellings of one id."""
    forms = pd.Series([normal_form(text) for text in column.texts], dtype="str")
    if forms.is_unique:
        return
    repeated = forms.duplicated(keep=False).to_numpy()
    used = np.flatnonzero(column.rows_with(repeated))  # in a category dtype some are of no row
    first: dict[str, int] = {}  # row of a form's first spelling
    for row in used:
        form = forms[int(column.codes[row])]
        earlier = first.setdefault(form, int(row))
        if column.codes[earlier] != column.codes[row]:
            raise SoundjudgeError(
                f"{where}, row {row + 1}: {column.name} {column.at(int(row))!r} differs only in "
                f"its spelling from {column.at(earlier)!r} in row {earlier + 1}: write both in "
                "one way, or, if they are two, rename one"
            )


def other_spelling(text: str, others: Iterable[str]) -> str | None:
    """The first of `others` that is a spelling of `text`, if any."""
    form = normal_form(text)
    return next((other for other in others if normal_form(other) == form), None)


def check_same_spellings(
    listeners: Collection[str], others: Collection[str], where: str, other: str
) -> None:
    """SoundjudgeError if the ids of two files have other spellings of one another."""
    forms = {normal_form(listener): listener for listener in others}
    for listener in listeners:
        if forms.get(normal_form(listener), listener) != listener and listener not in others:
            raise SoundjudgeError(
                f"{where} has the listener_id {listener!r}, and {other} has "
                f"{forms[normal_form(listener)]!r}: write both in one way"
            )
