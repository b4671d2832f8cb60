"""Reports on anyone's files: how well predictions agree with ratings, and whether two differ."""

from pathlib import Path

import pandas as pd

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.files import rating_files
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.evaluation import report
from soundjudge.scoring.files import prediction_files

CONFIDENCE = 0.95


def evaluate_files(
    predictions: Path, reference: Path, ratings: Path | None, *, resamples: int, seed: int
) -> dict[str, float]:
    """Flat numbers: srcc, lcc, ktau, mse, n, srcc_lo, srcc_hi, ...; with ratings the ceilings."""
    wanted = prediction_files.read_reference(reference)
    return report.evaluate_predictions(
        _matched(predictions, wanted, reference),
        wanted,
        ratings=None if ratings is None else _ratings(ratings, wanted),
        resamples=resamples,
        confidence=CONFIDENCE,
        seed=seed,
    )


def compare_files(
    first: Path, second: Path, reference: Path, *, resamples: int, seed: int
) -> dict[str, float]:
    """Flat numbers: srcc_first, srcc_second, n, difference with interval, p of two tests."""
    wanted = prediction_files.read_reference(reference)
    return report.compare_predictions(
        _matched(first, wanted, reference),
        _matched(second, wanted, reference),
        wanted,
        resamples=resamples,
        confidence=CONFIDENCE,
        seed=seed,
    )


def _matched(path: Path, wanted: pd.DataFrame, reference: Path) -> pd.DataFrame:
    """The predictions of a file that speaks of the same pairs; errors name the files."""
    predictions = prediction_files.read_predictions(path)
    matching.match_pairs(predictions, wanted, str(path), str(reference))
    return predictions


def _ratings(path: Path, wanted: pd.DataFrame) -> pd.DataFrame:
    """The ratings of the reference's clips; every clip must have some."""
    ratings = rating_files.read_ratings(path)
    lacking = wanted.loc[~wanted["wav_file_name"].isin(ratings["wav_file_name"]), "wav_file_name"]
    if not lacking.empty:
        raise SoundjudgeError(
            f"{path} has no rating of {len(lacking)} clips of the reference, "
            f"the first is {lacking.iloc[0]}"
        )
    return ratings[ratings["wav_file_name"].isin(wanted["wav_file_name"])]
