"""Ids of users' tables that stand for another than they seem to: paths, numbers, empty cells."""

import posixpath
import re
from collections.abc import Callable, Sequence
from decimal import Context

import pandas as pd

from soundjudge.data.tables import spellings
from soundjudge.errors import SoundjudgeError

# What a spreadsheet makes of a long number; those that differ in later digits become one.
SHORTENED = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]+", re.ASCII)
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d{1,3})?", re.IGNORECASE)  # digits of any script
PEOPLE = ("listener_id", "model_id")
IDS = ("wav_file_name", *PEOPLE)
# What R, pandas, SQL and spreadsheets write into a cell that has no value.
ABSENT = ("na", "n/a", "#n/a", "nan", "<na>", "nat", "none", "null")
SUFFIX = re.compile(r"\.[a-z][a-z0-9]{1,4}", re.IGNORECASE)  # of a sound file, whatever its format


def check_forms(frame: pd.DataFrame, where: str) -> None:
    """SoundjudgeError if an id has two forms in the frame, is none at all, or lost its digits."""
    for name in IDS:
        if name in frame:
            texts = _distinct(frame[name])
            _check_absent(frame[name], texts, where)
            _check_two_forms(frame[name], texts, number_form, "are one number", where)
    if "wav_file_name" in frame:
        names, texts = frame["wav_file_name"], _distinct(frame["wav_file_name"])
        _check_two_forms(names, texts, _path_form, "are one file", where)
        _check_suffixes(names, texts, where)
    for name in PEOPLE:
        for text in _distinct(frame[name]) if name in frame else ():
            if SHORTENED.fullmatch(text):
                raise SoundjudgeError(
                    f"{where}, row {_row(frame[name], text)}: {name} {text!r} is a number that a "
                    "spreadsheet shortened, so that different ones look alike: store ids as text"
                )


def _distinct(values: "pd.Series[str]") -> list[str]:
    """The texts, each once: a list, which is read ten times faster than pandas' own strings."""
    texts: list[str] = values.dropna().unique().tolist()
    return texts


def is_absent(text: str) -> bool:
    """Whether a program has written this for a cell without a value."""
    return text.strip().casefold() in ABSENT


def number_form(text: str) -> str:
    """One form of a number that people write as 1, 01, +1, 1.0 or 1e0; other texts as they are."""
    text = text.strip()
    if not NUMBER.fullmatch(text):
        return text
    exact = Context(prec=max(len(text), 9), Emax=9999, Emin=-9999)
    number = exact.create_decimal(text)
    return str(number.normalize(exact)) if number else "0"


def _check_absent(values: "pd.Series[str]", texts: Sequence[str], where: str) -> None:
    for text in texts:
        if is_absent(text):
            raise SoundjudgeError(
                f"{where}, row {_row(values, text)}: {values.name} {text!r} stands for an empty "
                "cell: fill it in, remove the row, or, if it is a name, write another"
            )


def _path_form(name: str) -> str:
    return spellings.normal_form(posixpath.normpath(name.replace("\\", "/")).rstrip("."))


def _check_two_forms(
    values: "pd.Series[str]",
    texts: Sequence[str],
    form: Callable[[str], str],
    reason: str,
    where: str,
) -> None:
    first: dict[str, str] = {}
    for text in texts:
        other = first.setdefault(form(text), text)
        if other != text:
            raise SoundjudgeError(
                f"{where}, row {_row(values, text)}: {values.name} {text!r} and {other!r} in row "
                f"{_row(values, other)} {reason}: write both in one way"
            )


def _check_suffixes(names: "pd.Series[str]", texts: Sequence[str], where: str) -> None:
    """No name stands with and without its suffix, which one file would answer to."""
    stems = {}
    for name in texts:
        stem, suffix = posixpath.splitext(name)
        if SUFFIX.fullmatch(suffix):
            stems[stem] = name
    for name in texts:
        if name in stems:
            raise SoundjudgeError(
                f"{where}, row {_row(names, name)}: wav_file_name {name!r} and {stems[name]!r} in "
                f"row {_row(names, stems[name])} are one file: write both in one way"
            )


def _row(values: "pd.Series[str]", text: str) -> int:
    """The first row, counted from 1, with a text."""
    return int((values == text).to_numpy().argmax()) + 1
