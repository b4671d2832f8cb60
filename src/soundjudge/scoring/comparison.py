"""Reports on anyone's files: how well predictions agree with ratings, and whether two differ."""

from pathlib import Path

import pandas as pd

from soundjudge.labels import ratings_files
from soundjudge.scoring import matching, report

CONFIDENCE = 0.95


def evaluate_files(
    predictions: Path, reference: Path, ratings: Path | None, *, resamples: int, seed: int
) -> dict[str, float]:
    """Flat numbers: srcc, lcc, ktau, mse, n, srcc_lo, srcc_hi, ...; with ratings the ceilings."""
    wanted = matching.reference(reference)
    return report.evaluate(
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
    wanted = matching.reference(reference)
    return report.compare(
        _matched(first, wanted, reference),
        _matched(second, wanted, reference),
        wanted,
        resamples=resamples,
        confidence=CONFIDENCE,
        seed=seed,
    )


def _matched(path: Path, wanted: pd.DataFrame, reference: Path) -> pd.DataFrame:
    """The predictions of a file that speaks of the same pairs; errors name the files."""
    predictions = matching.predictions(path)
    matching.matched(predictions, wanted, str(path), str(reference))
    return predictions


def _ratings(path: Path, wanted: pd.DataFrame) -> pd.DataFrame:
    """The ratings of the reference's clips; every clip must have some."""
    ratings = ratings_files.read(path)
    lacking = wanted.loc[~wanted["wav_file_name"].isin(ratings["wav_file_name"]), "wav_file_name"]
    if not lacking.empty:
        raise matching.MatchError(
            f"{path} has no rating of {len(lacking)} clips of the reference, "
            f"the first is {lacking.iloc[0]}"
        )
    return ratings[ratings["wav_file_name"].isin(wanted["wav_file_name"])]
