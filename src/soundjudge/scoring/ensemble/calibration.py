"""A strictly rising curve from the scale of scores to that of ratings, 0 to 10.

Calibration changes the level of scores and never their order: SRCC stays, MSE falls. The curve is
piecewise linear through knots and is extrapolated at the slope of its outermost pieces.

N = number of pairs, J = number of knots.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError

Method = Literal["linear", "isotonic"]

# Rating points; a smaller rise is rounding error.
MIN_RISE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Knots of a strictly rising curve: `scores` -> `ratings`, each (J,), J >= 2."""

    method: Method
    scores: tuple[float, ...]
    ratings: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.ratings) or len(self.scores) < 2:
            raise SoundjudgeError("a calibration needs two or more knots: scores and ratings")
        knots = (*pairwise(self.scores), *pairwise(self.ratings))
        if not all(first < second for first, second in knots):
            raise SoundjudgeError("the knots of a calibration must rise")


def fit_calibration(
    score: NDArray[np.float64], rating: NDArray[np.float64], method: Method
) -> Calibration:
    """The curve from `score` (N,), on any scale, to `rating` (N,), 0 to 10.

    linear: the line of least squared error. isotonic: through the centers of the steps of isotonic
    regression; the steps have the least squared error of all rising curves, the curve a little
    more, since it ties no scores.

    Raises SoundjudgeError where scores are constant or do not rise with the ratings.
    """
    if np.ptp(score) == 0:
        raise SoundjudgeError("all scores are equal: they cannot be calibrated")
    knots = _linear_knots(score, rating) if method == "linear" else _isotonic_knots(score, rating)
    if knots[1][-1] - knots[1][0] < MIN_RISE:
        raise SoundjudgeError(
            "scores do not rise with the ratings on validation: remove the weakest ensemble.members"
        )
    x, y = (tuple(float(value) for value in values) for values in knots)
    return Calibration(method=method, scores=x, ratings=y)


def apply_calibration(calibration: Calibration, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Calibrated scores (N,) of `score` (N,), not clipped to 0..10."""
    x, y = np.asarray(calibration.scores), np.asarray(calibration.ratings)
    piece = np.clip(np.searchsorted(x, score) - 1, 0, len(x) - 2)  # (N,)
    slope = np.diff(y) / np.diff(x)  # (J-1,)
    calibrated: NDArray[np.float64] = y[piece] + slope[piece] * (score - x[piece])
    return calibrated


def _linear_knots(
    score: NDArray[np.float64], rating: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    slope, offset = np.polynomial.polynomial.polyfit(score, rating, 1)[::-1]
    ends = np.array([score.min(), score.max()])
    return ends, offset + slope * ends


def _isotonic_knots(
    score: NDArray[np.float64], rating: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Isotonic regression with a knot at the center of each step (Oron and Flournoy 2017).

    The steps themselves would tie scores that differ.
    """
    x, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, weights=rating) / count
    fit = scipy.optimize.isotonic_regression(mean, weights=count)
    starts = fit.blocks[:-1]
    weight = np.add.reduceat(count, starts)
    center, level = np.add.reduceat(x * count, starts) / weight, fit.x[starts]
    rises = np.append(True, np.diff(level) >= MIN_RISE)
    return center[rises], level[rises]
