"""Ids of users' tables that stand for another than they seem to: paths, and shortened numbers."""

import posixpath
import re

import pandas as pd

from soundjudge.data.tables import spellings
from soundjudge.errors import SoundjudgeError

# What a spreadsheet makes of a long number; those that differ in later digits become one.
SHORTENED = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]+", re.ASCII)
PEOPLE = ("listener_id", "model_id")


def check_forms(frame: pd.DataFrame, where: str) -> None:
    """SoundjudgeError if a file has two paths in the frame, or an id lost its digits."""
    if "wav_file_name" in frame:
        _check_paths(frame["wav_file_name"], where)
    for name in PEOPLE:
        for text in frame[name].dropna().unique() if name in frame else ():
            if SHORTENED.fullmatch(text):
                raise SoundjudgeError(
                    f"{where}, row {_row(frame[name], text)}: {name} {text!r} is a number that a "
                    "spreadsheet shortened, so that different ones look alike: store ids as text"
                )


def _check_paths(names: "pd.Series[str]", where: str) -> None:
    first: dict[str, str] = {}
    for name in names.dropna().unique():
        path = posixpath.normpath(name.replace("\\", "/"))
        other = first.setdefault(spellings.normal_form(path), name)
        if other != name:
            raise SoundjudgeError(
                f"{where}, row {_row(names, name)}: wav_file_name {name!r} and {other!r} in row "
                f"{_row(names, other)} are one file: write both in one way"
            )


def _row(values: "pd.Series[str]", text: str) -> int:
    """The first row, counted from 1, with a text."""
    return int((values == text).to_numpy().argmax()) + 1
