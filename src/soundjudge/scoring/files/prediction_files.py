"""Files of predictions, references and lists of pairs, as anyone wrote them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from soundjudge.data.tables.schema import Table
from soundjudge.data.user_files import user_tables
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.evaluation import reference_tables

# The names of columns on the challenge's page.
NAMES = {
    "wave_file_name": "wav_file_name",
    "average_semantic_alignement_score": "average_score",
    "average_semantic_alignment_score": "average_score",
}


def read_predictions(path: Path) -> pd.DataFrame:
    """wav_file_name, text if the file has it, pred_score; no empty cell, no pair twice."""
    return _read(path, matching.pair_table(_header(path), reference_tables.PREDICTION))


def read_reference(path: Path) -> pd.DataFrame:
    """wav_file_name, text and model_id if the file has them, and average_score or mean_score."""
    columns = _header(path)
    if not set(reference_tables.REFERENCES) & set(columns):
        raise _no_reference_error(columns, path)
    table = reference_tables.reference_table(columns, str(path))
    if "model_id" in columns:
        table = replace(table, columns=table.columns | {"model_id": "str"}, nullable=("model_id",))
    return _read(path, table)


def read_pair_list(path: Path) -> pd.DataFrame:
    """wav_file_name, and text if the file has it, of the pairs to be scored."""
    return _read(path, matching.pair_table(_header(path)))


def _no_reference_error(columns: Sequence[str], path: Path) -> SoundjudgeError:
    """The error about a table without mean ratings: of ratings, of prompts, or of other columns."""
    needed = (matching.CLIP, reference_tables.REFERENCES[0])
    missing = [name for name in needed if name not in columns]
    return SoundjudgeError(
        f"{user_tables.missing_columns_error(missing, columns, path)}. A reference has the mean "
        f"rating of each pair, as average_score or mean_score: make it of ratings by `soundjudge "
        "standardize`; without ratings, compare generators by `soundjudge report`"
    )


def _header(path: Path) -> list[str]:
    return user_tables.rename(user_tables.read_header(path), NAMES, path)


def _read(path: Path, table: Table) -> pd.DataFrame:
    frame = read_user_table(path, table, names=NAMES)
    if frame.empty:
        raise SoundjudgeError(f"{path} has no rows")
    return frame
