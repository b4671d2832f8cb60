"""A rising curve from any scale to that of the listeners, 0 to 10.

Calibration moves the level of scores and never their order: SRCC stays, MSE falls. The curve is
piecewise linear through knots, and goes on beyond them at the slope of the outermost pieces.

N = number of pairs, J = number of knots.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from soundjudge.errors import SoundjudgeError

Method = Literal["linear", "isotonic"]

# Rating points: what rises by less is level, and only rounding says otherwise.
SMALLEST_RISE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Knots of a strictly rising curve: `scores` -> `ratings`, each (J,), J >= 2."""

    method: Method
    scores: tuple[float, ...]
    ratings: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.ratings) or len(self.scores) < 2:
            raise SoundjudgeError("a calibration needs two or more knots: scores and ratings")
        if min(np.diff(self.scores)) <= 0 or min(np.diff(self.ratings)) <= 0:
            raise SoundjudgeError("the knots of a calibration must rise")


def fit_calibration(
    score: NDArray[np.float64], rating: NDArray[np.float64], method: Method
) -> Calibration:
    """The curve that brings `score` (N,) nearest to `rating` (N,), in squared points."""
    if np.ptp(score) == 0:
        raise SoundjudgeError("all scores are equal: they cannot be calibrated")
    knots = _line(score, rating) if method == "linear" else _steps(score, rating)
    if knots[1][-1] - knots[1][0] < SMALLEST_RISE:
        raise SoundjudgeError(
            "scores do not rise with the ratings on validation: such members would mislead"
        )
    x, y = (tuple(float(value) for value in values) for values in knots)
    return Calibration(method=method, scores=x, ratings=y)


def apply_calibration(calibration: Calibration, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Calibrated scores (N,), not clipped."""
    x, y = np.asarray(calibration.scores), np.asarray(calibration.ratings)
    piece = np.clip(np.searchsorted(x, score) - 1, 0, len(x) - 2)  # (N,)
    slope = np.diff(y) / np.diff(x)  # (J-1,)
    calibrated: NDArray[np.float64] = y[piece] + slope[piece] * (score - x[piece])
    return calibrated


def _line(
    score: NDArray[np.float64], rating: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    slope, offset = np.polynomial.polynomial.polyfit(score, rating, 1)[::-1]
    ends = np.array([score.min(), score.max()])
    return ends, offset + slope * ends


def _steps(
    score: NDArray[np.float64], rating: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Isotonic regression with a knot at the center of every step (Oron and Flournoy 2017).

    The steps themselves would make ties of scores that differ.
    """
    x, place, count = np.unique(score, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=rating) / count
    found = isotonic_regression(mean, weights=count)
    starts = found.blocks[:-1]
    weight = np.add.reduceat(count, starts)
    center, level = np.add.reduceat(x * count, starts) / weight, found.x[starts]
    rises = np.append(True, np.diff(level) >= SMALLEST_RISE)
    return center[rises], level[rises]
