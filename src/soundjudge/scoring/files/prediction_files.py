"""Files of predictions, references and lists of pairs, as anyone wrote them."""

from pathlib import Path

import pandas as pd

from soundjudge.data.tables.schema import Kind, Table
from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble.matching import CLIP, TEXT

PREDICTION = "pred_score"
# The challenge's averages and our targets say the same under two names.
REFERENCES = ("average_score", "mean_score")


def column_names(path: Path) -> list[str]:
    """The column names of a CSV file."""
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist")
    return next(delimited.iter_rows(path), [])


def read_predictions(path: Path) -> pd.DataFrame:
    """wav_file_name, text if the file has it, pred_score; no empty cell, no pair twice."""
    return _read(path, PREDICTION)


def read_reference(path: Path) -> pd.DataFrame:
    """wav_file_name, text if the file has it, average_score: the mean rating of each pair."""
    there = column_names(path)
    names = [name for name in REFERENCES if name in there]
    if not names:
        raise SoundjudgeError(f"{path} has no column average_score (there are {', '.join(there)})")
    return _read(path, names[0]).rename(columns={names[0]: REFERENCES[0]})


def read_pair_list(path: Path) -> pd.DataFrame:
    """wav_file_name, and text if the file has it, of the pairs that someone asks for."""
    return _read(path)


def _read(path: Path, *numbers: str) -> pd.DataFrame:
    names = [CLIP, TEXT] if TEXT in column_names(path) else [CLIP]
    kinds: dict[str, Kind] = {name: "str" for name in names}
    kinds.update((name, "float") for name in numbers)
    table = Table(name="scores", columns=kinds, key=tuple(names))
    frame = read_user_table(path, table)
    if frame.empty:
        raise SoundjudgeError(f"{path} has no rows")
    return frame
