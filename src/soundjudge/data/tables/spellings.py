"""Ids that people spelled in two ways: they would count as two listeners or two sounds."""

import re
import unicodedata
from collections.abc import Collection, Iterable

import pandas as pd

from soundjudge.data.tables.schema import Series
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
            _check_spellings(frame[name], where)


def _check_spellings(values: Series, where: str) -> None:
    forms = {text: normal_form(text) for text in values.dropna().unique()}
    if len(set(forms.values())) == len(forms):
        return
    first: dict[str, tuple[int, str]] = {}  # row and spelling of a form where it stands first
    for row, text in enumerate(values, start=1):
        if text not in forms:  # an empty cell
            continue
        earlier, spelling = first.setdefault(forms[text], (row, text))
        if spelling != text:
            raise SoundjudgeError(
                f"{where}, row {row}: {values.name} {text!r} differs only in its spelling from "
                f"{spelling!r} in row {earlier}: write both in one way, or, if they are two, "
                "rename one"
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
