"""Joins files of scores by their keys: a missing, extra or double row is an error, no smaller N.

Files that name a text for every clip are joined by clip and text, others by the clip alone.
"""

from pathlib import Path

import pandas as pd

from soundjudge.data import delimited, tables
from soundjudge.data.schema import Table

CLIP, TEXT, PREDICTION = "wav_file_name", "text", "pred_score"
# The challenge's averages and our targets say the same under two names.
REFERENCES = ("average_score", "mean_score")


class MatchError(ValueError):
    """Two files that do not speak of the same pairs."""


def columns(path: Path) -> list[str]:
    """The column names of a CSV file."""
    if not path.is_file():
        raise MatchError(f"{path} does not exist")
    return next(delimited.iter_rows(path), [])


def predictions(path: Path) -> pd.DataFrame:
    """wav_file_name, text if the file has it, pred_score; no empty cell, no pair twice."""
    return _read(path, PREDICTION)


def reference(path: Path) -> pd.DataFrame:
    """wav_file_name, text if the file has it, average_score: the mean rating of each pair."""
    there = columns(path)
    names = [name for name in REFERENCES if name in there]
    if not names:
        raise MatchError(f"{path} has no column average_score (there are {', '.join(there)})")
    return _read(path, names[0]).rename(columns={names[0]: REFERENCES[0]})


def listed(path: Path) -> pd.DataFrame:
    """wav_file_name, and text if the file has it, of the pairs that someone asks for."""
    return _read(path)


def matched(
    left: pd.DataFrame, right: pd.DataFrame, left_name: str, right_name: str
) -> pd.DataFrame:
    """The columns of both, in the order of `right`; both must hold the same pairs."""
    key = [name for name in (CLIP, TEXT) if name in left and name in right]
    for frame, name in ((left, left_name), (right, right_name)):
        again = frame.duplicated(key)
        if again.any():
            raise MatchError(
                f"{name} has {frame.loc[again, CLIP].iloc[0]} twice: a text for every row in both "
                "files would tell its pairs apart"
            )
    _refuse_strangers(right, left, key, f"{left_name} lacks", f"of {right_name}")
    _refuse_strangers(left, right, key, f"{left_name} has", f"that {right_name} lacks")
    # The text of one side is enough where they are joined by clip alone.
    spare = [name for name in left if name not in key and name in right]
    return right.merge(left.drop(columns=spare), on=key, how="left", validate="one_to_one")


def _refuse_strangers(
    frame: pd.DataFrame, others: pd.DataFrame, key: list[str], before: str, after: str
) -> None:
    known = set(others[key].itertuples(index=False, name=None))
    strange = [pair for pair in frame[key].itertuples(index=False, name=None) if pair not in known]
    if strange:
        pair = " + ".join(repr(part) for part in strange[0])
        raise MatchError(f"{before} {len(strange)} pairs {after}, the first is {pair}")


def _read(path: Path, *numbers: str) -> pd.DataFrame:
    names = [CLIP, TEXT] if TEXT in columns(path) else [CLIP]
    kinds = dict.fromkeys(names, "str") | dict.fromkeys(numbers, "float")
    table = Table(name="scores", columns=kinds, key=tuple(names))  # type: ignore[arg-type]
    frame = tables.read(path, table)
    if frame.empty:
        raise MatchError(f"{path} has no rows")
    return frame
