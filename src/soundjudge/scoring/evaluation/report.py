"""The public library of evaluation: one system's numbers, and a test between two systems."""

from collections.abc import Collection, Hashable
from dataclasses import asdict

import pandas as pd

from soundjudge.data.tables import spellings, tables
from soundjudge.data.tables.schema import check_table
from soundjudge.errors import ReliabilityError, SoundjudgeError
from soundjudge.labels.ratings import reliability
from soundjudge.reporting import metrics
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.ensemble.matching import PAIR
from soundjudge.scoring.evaluation import systems

PREDICTION = "pred_score"
# The challenge's name of a mean rating, and that of our targets.
REFERENCES = ("average_score", "mean_score")
MIN_PAIRS = 4  # of an interval: resamples of fewer are nearly all alike
RATINGS = tables.RATINGS.without("listener_id", "split", "model_id")


def evaluate(
    predictions: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    ratings: pd.DataFrame | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, float | str]:
    """Correlates predictions with mean ratings of the same pairs, in any order.

    Parameters
    ----------
    predictions : DataFrame
        wav_file_name, pred_score (any scale) and, where a clip has several texts, text.
    reference : DataFrame
        wav_file_name, average_score or mean_score (0 to 10), and text as above.
    ratings : DataFrame, optional
        Single ratings of the same pairs: wav_file_name, text, score (0 to 10).
    resamples : int
        Bootstrap resamples of pairs for the 95 % intervals.
    seed : int
        Of the bootstrap and of the ceiling's split halves.

    Returns
    -------
    dict
        srcc, lcc, ktau (-1 to 1), mse, n, and the intervals srcc_lo, srcc_hi, lcc_lo, lcc_hi. With
        `ratings` also the noise ceiling: ceiling_srcc, ceiling_lcc, ceiling_ktau, floor_mse,
        share_of_ceiling, lcc_share_of_ceiling. What cannot be had is left out, and no_intervals or
        no_ceiling says why.

    Raises
    ------
    SoundjudgeError
        A column or a number is missing, tables hold different pairs, or a vector is constant.

    Examples
    --------
    >>> clips = ["a.wav", "b.wav", "c.wav", "d.wav"]
    >>> predictions = pd.DataFrame({"wav_file_name": clips, "pred_score": [1, 3, 2, 4]})
    >>> reference = pd.DataFrame({"wav_file_name": clips, "average_score": [1, 2, 3, 4]})
    >>> round(evaluate(predictions, reference)["srcc"], 3)
    0.8
    """
    reference = _rename_reference(reference)
    frame = _match(predictions, reference, "the predictions")
    notes = {}
    if len(frame) < MIN_PAIRS:
        average = frame[REFERENCES[0]]
        row = asdict(metrics.correlation_metrics(frame[PREDICTION], average))
        notes["no_intervals"] = f"{len(frame)} pairs are too few: give {MIN_PAIRS} or more"
    else:
        comparison = systems.compare_systems(frame, [PREDICTION], resamples=resamples, seed=seed)
        row = systems.metrics_with_intervals(comparison, PREDICTION)
    if ratings is not None:
        check_table(ratings, RATINGS, "the ratings")
        rated = ratings[PAIR].drop_duplicates()
        matching.match_pairs(rated, reference, "the ratings", "the reference")
        try:
            ceiling = reliability.noise_ceiling(ratings, seed=seed)
        except ReliabilityError as error:
            notes["no_ceiling"] = str(error)
        else:
            row |= {f"ceiling_{name}": getattr(ceiling, name) for name in ("srcc", "lcc", "ktau")}
            row |= {"floor_mse": ceiling.mse} | systems.ceiling_shares(row, ceiling)
    return row | notes


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, float]:
    """Tests whether two systems differ in their agreement with the same mean ratings.

    Parameters
    ----------
    first, second : DataFrame
        Predictions of each system, as in `evaluate`.
    reference, resamples, seed
        As in `evaluate`.

    Returns
    -------
    dict
        srcc_first, srcc_second, n; difference (first minus second) with its 95 % interval
        difference_lo, difference_hi; two-sided p_bootstrap of that difference and p_williams of the
        difference in LCC (Williams 1959).

    Raises
    ------
    SoundjudgeError
        As `evaluate`; or there are fewer than 4 pairs.

    Examples
    --------
    >>> clips = ["a.wav", "b.wav", "c.wav", "d.wav"]
    >>> first = pd.DataFrame({"wav_file_name": clips, "pred_score": [1, 3, 2, 4]})
    >>> second = pd.DataFrame({"wav_file_name": clips, "pred_score": [2, 1, 4, 3]})
    >>> reference = pd.DataFrame({"wav_file_name": clips, "average_score": [1, 2, 3, 4]})
    >>> round(compare(first, second, reference)["difference"], 3)
    0.2
    """
    frame = _rename_reference(reference)
    if len(frame) < MIN_PAIRS:
        raise SoundjudgeError(f"{len(frame)} pairs are too few: give {MIN_PAIRS} or more")
    for name, predictions in (("first", first), ("second", second)):
        frame = _match(predictions, frame, f"the {name} system").rename(columns={PREDICTION: name})
    comparison = systems.compare_systems(frame, ["first", "second"], resamples=resamples, seed=seed)
    srcc = [metrics.srcc(frame[name], frame["average_score"]) for name in comparison.systems]
    row = {"srcc_first": srcc[0], "srcc_second": srcc[1], "n": len(frame)}
    return row | systems.srcc_difference(comparison, "first", "second")


def reference_column(columns: Collection[Hashable], where: str) -> str:
    """Which of the columns holds mean ratings; `where` names the table in the error."""
    names = [name for name in REFERENCES if name in columns]
    if not names:
        raise SoundjudgeError(
            f"{where} has no column {REFERENCES[0]} (has {', '.join(map(str, columns))})"
            + (": make averages of ratings with standardize" if "score" in columns else "")
        )
    return names[0]


def _rename_reference(reference: pd.DataFrame) -> pd.DataFrame:
    name = reference_column(list(reference), "the reference")
    return _select(reference, name, "the reference").rename(columns={name: REFERENCES[0]})


def _match(predictions: pd.DataFrame, reference: pd.DataFrame, where: str) -> pd.DataFrame:
    selected = _select(predictions, PREDICTION, where)
    return matching.match_pairs(selected, reference, where, "the reference")


def _select(frame: pd.DataFrame, number: str, where: str) -> pd.DataFrame:
    table = matching.pair_table(list(frame), number)
    check_table(frame, table, where)
    spellings.check_ids(frame, where)
    return frame[list(table.columns)]
