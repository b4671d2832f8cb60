"""Files of predictions, references and lists of pairs, as anyone wrote them."""

from pathlib import Path

import pandas as pd

from soundjudge.data.user_files import user_tables
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.evaluation import report

# The names of columns on the challenge's page.
NAMES = {
    "wave_file_name": "wav_file_name",
    "average_semantic_alignement_score": "average_score",
    "average_semantic_alignment_score": "average_score",
}


def read_predictions(path: Path) -> pd.DataFrame:
    """wav_file_name, text if the file has it, pred_score; no empty cell, no pair twice."""
    return _read(path, _header(path), report.PREDICTION)


def read_reference(path: Path) -> pd.DataFrame:
    """wav_file_name, text if the file has it, and average_score or mean_score."""
    columns = _header(path)
    return _read(path, columns, report.reference_column(columns, str(path)))


def read_pair_list(path: Path) -> pd.DataFrame:
    """wav_file_name, and text if the file has it, of the pairs to be scored."""
    return _read(path, _header(path))


def _header(path: Path) -> list[str]:
    return user_tables.rename(user_tables.read_header(path), NAMES)


def _read(path: Path, columns: list[str], *numbers: str) -> pd.DataFrame:
    frame = read_user_table(path, matching.pair_table(columns, *numbers), names=NAMES)
    if frame.empty:
        raise SoundjudgeError(f"{path} has no rows")
    return frame
