"""Systems against mean ratings: their numbers with intervals, and the difference of two.

A system is a column of scores. N = pairs, K = systems, R = resamples.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from soundjudge.labels.ratings.reliability import Ceiling
from soundjudge.reporting import metrics
from soundjudge.scoring.evaluation import significance
from soundjudge.scoring.evaluation.significance import BootstrapDraws

CONFIDENCE = 0.95  # of intervals


@dataclass(frozen=True, kw_only=True)
class SystemComparison:
    """Systems beside the mean ratings of the same pairs."""

    frame: pd.DataFrame  # average_score, a column per system, and any others
    systems: tuple[str, ...]
    draws: BootstrapDraws  # (R, K)
    confidence: float  # of every interval


def compare_systems(
    frame: pd.DataFrame,
    systems: Sequence[str],
    *,
    resamples: int,
    seed: int,
    confidence: float = CONFIDENCE,
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


def metrics_with_intervals(comparison: SystemComparison, system: str) -> dict[str, float]:
    """srcc, srcc_lo, srcc_hi, lcc, lcc_lo, lcc_hi, ktau, mse and n of one system."""
    frame, k = comparison.frame, comparison.systems.index(system)
    row = asdict(metrics.correlation_metrics(frame[system], frame["average_score"]))
    for name, draws in (("srcc", comparison.draws.srcc), ("lcc", comparison.draws.lcc)):
        low, high = significance.interval(draws[:, k], comparison.confidence)
        row |= {f"{name}_lo": low, f"{name}_hi": high}
    return row


def srcc_difference(comparison: SystemComparison, system: str, other: str) -> dict[str, float]:
    """SRCC of `system` minus that of `other`, with its interval; two-sided p of two tests.

    p_bootstrap tests that difference; p_williams tests the difference in LCC, analytically.
    """
    frame, reference = comparison.frame, comparison.frame["average_score"]
    draws = comparison.draws.srcc
    differences = (
        draws[:, comparison.systems.index(system)] - draws[:, comparison.systems.index(other)]
    )
    low, high = significance.interval(differences, comparison.confidence)
    srcc, lcc = metrics.srcc, metrics.lcc
    return {
        "difference": srcc(frame[system], reference) - srcc(frame[other], reference),
        "difference_lo": low,
        "difference_hi": high,
        "p_bootstrap": significance.p_value(differences),
        "p_williams": significance.williams(
            lcc(frame[system], reference),
            lcc(frame[other], reference),
            lcc(frame[system], frame[other]),
            len(frame),
        ),
    }


def ceiling_shares(row: dict[str, float], ceiling: Ceiling) -> dict[str, float]:
    """The SRCC and LCC of `row` divided by the noise ceiling's; 1 = as a perfect judge."""
    return {
        "share_of_ceiling": row["srcc"] / ceiling.srcc,
        "lcc_share_of_ceiling": row["lcc"] / ceiling.lcc,
    }
