"""Intervals around scores, by split conformal prediction scaled by the members' spread.

A score's error is expected to grow with the disagreement of the members: the scale of an interval
is `floor + slope * spread`, fitted to absolute residuals, and its factor is the conformal quantile
of residuals / scale (Lei et al. 2018, "Distribution-Free Predictive Inference for Regression",
section 5.2). Residuals are those of cross-fitted scores, so that no pair has fitted its own.

N = number of pairs, K = number of members.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.ranges import check_range
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.calibration import apply_calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble

Floats = NDArray[np.float64]
# The smallest floor, as a share of the mean absolute residual: members that agree may err together.
LEAST_FLOOR = 0.1
FILE = "intervals.json"  # beside the ensemble's predictions
MOST_RESIDUALS = 2000  # whose couples are compared: 4 million


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """How far mean ratings lie from scores, in rating points."""

    coverage: float
    "share of pairs whose mean rating lies within its interval"
    floor: float
    "of the scale"
    slope: float
    "of the scale, per point of spread"
    quantile: float
    "half the width of an interval, in scales"
    difference: float
    "of two scores that differ by more, listeners share the order in `coverage` of cases or more"

    def __post_init__(self) -> None:
        check_range(self, "coverage", above=0, below=1)
        check_range(self, "floor", "quantile", above=0)
        check_range(self, "slope", "difference", least=0)

    def bounds(self, scores: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """Both ends, within 0..10, of the intervals of scores (N,) with `spread` (N,)."""
        half = self.quantile * (self.floor + self.slope * spread)
        return np.clip(scores - half, 0.0, 10.0), np.clip(scores + half, 0.0, 10.0)


def read_intervals(path: Path) -> Intervals:
    """The intervals that the stage `ensemble` wrote; ParamsError names a wrong key."""
    return params.build(Intervals, artifacts.read_json(path), str(path))


def member_ratings(ensemble: Ensemble, member_scores: Floats) -> Floats:
    """Each member's score on the ensemble's scale, not clipped: (N, K) -> (N, K).

    What the ensemble would give if all members stood where this one does.
    """
    standardized = (member_scores - np.asarray(ensemble.mean)) / np.asarray(ensemble.std)
    calibrated = apply_calibration(ensemble.calibration, standardized.reshape(-1))
    return calibrated.reshape(standardized.shape)


def members_spread(ensemble: Ensemble, member_scores: Floats) -> Floats:
    """Weighted standard deviation of the members on the ensemble's scale: (N, K) -> (N,).

    In rating points; 0 where they agree, or where one member has all the weight.
    """
    ratings, weights = member_ratings(ensemble, member_scores), np.asarray(ensemble.weights)
    center = (ratings * weights).sum(axis=1, keepdims=True)
    spread: Floats = np.sqrt((weights * (ratings - center) ** 2).sum(axis=1))
    return spread


def fit_intervals(scores: Floats, spread: Floats, rating: Floats, coverage: float) -> Intervals:
    """Intervals from cross-fitted `scores` (N,), their `spread` (N,) and mean `rating` (N,)."""
    residuals = rating - scores
    sizes = np.abs(residuals)
    if not sizes.max(initial=0.0) > 0:
        raise SoundjudgeError("all scores equal the ratings: there is no error to learn from")
    design = np.stack([np.ones_like(spread), spread], axis=1)  # (N, 2)
    floor, slope = scipy.optimize.nnls(design, sizes)[0]
    floor = max(floor, LEAST_FLOOR * sizes.mean())
    return Intervals(
        coverage=coverage,
        floor=float(floor),
        slope=float(slope),
        quantile=conformal_quantile(sizes / (floor + slope * spread), coverage),
        difference=_difference(residuals, coverage),
    )


def conformal_quantile(values: Floats, coverage: float) -> float:
    """The ceil((N + 1) coverage)-th smallest of `values` (N,): a new one is below it so often."""
    rank = math.ceil((len(values) + 1) * coverage)
    if rank > len(values):
        raise SoundjudgeError(
            f"coverage is {coverage}: {len(values)} validation pairs are too few for it"
        )
    return float(np.sort(values)[rank - 1])


def _difference(residuals: Floats, coverage: float) -> float:
    """The quantile of differences between residuals of two pairs, over all couples."""
    step = math.ceil(len(residuals) / MOST_RESIDUALS)
    subset = residuals[::step]
    differences = subset[:, None] - subset[None, :]
    couples = differences[~np.eye(len(subset), dtype=bool)]
    return max(0.0, float(np.quantile(couples, coverage)))
