"""How well scores agree with mean ratings: numbers with intervals, and the gap between two systems.

N = pairs, K = systems, R = resamples.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from soundjudge.labels.ratings import reliability
from soundjudge.labels.ratings.reliability import Ceiling
from soundjudge.reporting import metrics
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.evaluation import significance
from soundjudge.scoring.evaluation.significance import BootstrapDraws

PAIR = ["wav_file_name", "text"]


@dataclass(frozen=True, kw_only=True)
class SystemComparison:
    """Systems beside the mean ratings of the same pairs."""

    frame: pd.DataFrame  # average_score, one column a system, and any others
    systems: tuple[str, ...]
    draws: BootstrapDraws  # (R, K)
    confidence: float  # of every interval


def compare_systems(
    frame: pd.DataFrame, systems: Sequence[str], *, resamples: int, confidence: float, seed: int
) -> SystemComparison:
    """The systems (columns of `frame`) with their bootstrap."""
    scores = frame[list(systems)].to_numpy(dtype=np.float64)  # (N, K)
    reference = frame["average_score"].to_numpy(dtype=np.float64)  # (N,)
    return SystemComparison(
        frame=frame,
        systems=tuple(systems),
        draws=significance.bootstrap(scores, reference, resamples=resamples, seed=seed),
        confidence=confidence,
    )


def metrics_with_intervals(compared: SystemComparison, system: str) -> dict[str, float]:
    """srcc, srcc_lo, srcc_hi, lcc, lcc_lo, lcc_hi, ktau, mse and n of one system."""
    frame, k = compared.frame, compared.systems.index(system)
    row = asdict(metrics.correlation_metrics(frame[system], frame["average_score"]))
    for name, drawn in (("srcc", compared.draws.srcc[:, k]), ("lcc", compared.draws.lcc[:, k])):
        low, high = significance.interval(drawn, compared.confidence)
        row |= {f"{name}_lo": low, f"{name}_hi": high}
    return row


def srcc_difference(compared: SystemComparison, system: str, other: str) -> dict[str, float]:
    """How far `system` is above `other` in SRCC, with its interval; two-sided p of two tests.

    p_bootstrap tests that difference; p_williams tests the difference in LCC, analytically.
    """
    frame, reference = compared.frame, compared.frame["average_score"]
    one, two = (compared.systems.index(name) for name in (system, other))
    drawn = compared.draws.srcc[:, one] - compared.draws.srcc[:, two]
    low, high = significance.interval(drawn, compared.confidence)
    srcc, lcc = metrics.srcc, metrics.lcc
    return {
        "difference": srcc(frame[system], reference) - srcc(frame[other], reference),
        "difference_lo": low,
        "difference_hi": high,
        "p_bootstrap": significance.p_value(drawn),
        "p_williams": significance.williams(
            lcc(frame[system], reference),
            lcc(frame[other], reference),
            lcc(frame[system], frame[other]),
            len(frame),
        ),
    }


def ceiling_shares(row: dict[str, float], ceiling: Ceiling) -> dict[str, float]:
    """What of the noise ceiling the numbers of `measured` reach; 1 = as well as the truth would."""
    return {
        "share_of_ceiling": row["srcc"] / ceiling.srcc,
        "lcc_share_of_ceiling": row["lcc"] / ceiling.lcc,
    }


def evaluate_predictions(
    predictions: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    ratings: pd.DataFrame | None,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, float]:
    """Anyone's pred_score against anyone's average_score: the flat numbers of `measured`.

    With `ratings` (wav_file_name, text, score) also the ceiling and the shares of it. Raises
    MatchError unless all tables hold the same pairs.
    """
    frame = matching.match_pairs(predictions, reference, "the predictions", "the reference")
    one = compare_systems(
        frame, ["pred_score"], resamples=resamples, confidence=confidence, seed=seed
    )
    row = metrics_with_intervals(one, "pred_score")
    if ratings is not None:
        rated = ratings[PAIR].drop_duplicates()
        matching.match_pairs(rated, reference, "the ratings", "the reference")
        ceiling = reliability.noise_ceiling(ratings, seed=seed)
        row |= {f"ceiling_{name}": getattr(ceiling, name) for name in ("srcc", "lcc", "ktau")}
        row |= {"floor_mse": ceiling.mse} | ceiling_shares(row, ceiling)
    return row


def compare_predictions(
    first: pd.DataFrame,
    second: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, float]:
    """srcc_first, srcc_second, n, and `difference`: how far the first is above the second.

    Raises MatchError unless all three tables hold the same pairs.
    """
    frame = reference
    for name, predictions in (("first", first), ("second", second)):
        renamed = predictions.rename(columns={"pred_score": name})
        frame = matching.match_pairs(renamed, frame, f"the {name} system", "the reference")
    both = compare_systems(
        frame, ["first", "second"], resamples=resamples, confidence=confidence, seed=seed
    )
    srcc = [metrics.srcc(frame[name], frame["average_score"]) for name in both.systems]
    row = {"srcc_first": srcc[0], "srcc_second": srcc[1], "n": len(frame)}
    return row | srcc_difference(both, "first", "second")
