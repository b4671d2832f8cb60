"""Reports on anyone's files: how well predictions agree with ratings, and whether two differ."""

from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from soundjudge.data.tables import spellings
from soundjudge.data.user_files.outputs import locked_output
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.files import rating_files
from soundjudge.labels.scales import Scale
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.evaluation import report
from soundjudge.scoring.files import prediction_files


def evaluate_files(
    predictions: Path,
    reference: Path,
    ratings: Path | None,
    *,
    scale: Scale | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    resamples: int,
    seed: int,
) -> dict[str, float | str]:
    """The numbers of `report.evaluate`, also as JSON in `out`.

    `ratings` may hold further pairs, and be on another scale than 0-10.
    """
    inputs = [predictions, reference, ratings]
    with ExitStack() as stack:
        if out is not None:
            locked = locked_output(out, inputs, (".json",), overwrite=overwrite)
            target = stack.enter_context(locked)
        pairs = prediction_files.read_reference(reference)
        numbers = report.evaluate(
            _read_matching(predictions, pairs, reference),
            pairs,
            ratings=None if ratings is None else _read_ratings(ratings, pairs, scale),
            resamples=resamples,
            seed=seed,
        )
        if out is not None:
            artifacts.write_json(target, numbers)
    return numbers


def compare_files(
    first: Path, second: Path, reference: Path, *, resamples: int, seed: int
) -> dict[str, float]:
    """The numbers of `report.compare`."""
    pairs = prediction_files.read_reference(reference)
    return report.compare(
        _read_matching(first, pairs, reference),
        _read_matching(second, pairs, reference),
        pairs,
        resamples=resamples,
        seed=seed,
    )


def _read_matching(path: Path, pairs: pd.DataFrame, reference: Path) -> pd.DataFrame:
    """The predictions of a file that has the same pairs as the reference; errors name the files."""
    predictions = prediction_files.read_predictions(path)
    matching.match_pairs(predictions, pairs, str(path), str(reference))
    return predictions


def _read_ratings(path: Path, pairs: pd.DataFrame, scale: Scale | None) -> pd.DataFrame:
    """The ratings of the reference's clips; every clip must have some."""
    ratings = rating_files.read_ratings(path, scale)
    unrated = pairs.loc[~pairs["wav_file_name"].isin(ratings["wav_file_name"]), "wav_file_name"]
    if not unrated.empty:
        other = spellings.other_spelling(unrated.iloc[0], ratings["wav_file_name"].unique())
        hint = "" if other is None else f", which it spells {other!r}: write both in one way"
        raise SoundjudgeError(
            f"{path} has no rating of {len(unrated)} clips of the reference, "
            f"the first is {unrated.iloc[0]}{hint}"
        )
    return ratings[ratings["wav_file_name"].isin(pairs["wav_file_name"])]
