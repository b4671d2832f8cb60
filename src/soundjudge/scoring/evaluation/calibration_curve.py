"""How scores relate to mean ratings: the calibration line, and the mean rating by band of scores.

N = pairs, B = bands that hold a pair. The means by band are a reliability diagram: calibrated
scores lie on the diagonal (DeGroot and Fienberg 1983).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

BANDS = np.linspace(0, 10, 11)  # edges of score bands, a point wide
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class CalibrationCurve:
    """Numbers of a system on 0 to 10; scores beyond these are of the outer bands."""

    line_score: tuple[float, float]  # the lowest and the highest score
    line_rating: tuple[float, float]  # what least squares expect there
    band_score: Floats  # (B,) mean score
    band_rating: Floats  # (B,) mean rating
    band_error: Floats  # (B,) half of its 95 % interval, by Student's t; 0 for one pair


def calibration_curve(score: Floats, rating: Floats) -> CalibrationCurve:
    """The curve of scores (N,), not constant, and mean ratings (N,), 0 to 10."""
    ends = np.array([score.min(), score.max()])
    low, high = np.polynomial.Polynomial.fit(score, rating, 1)(ends)
    band = np.clip(np.digitize(score, BANDS) - 1, 0, len(BANDS) - 2)
    groups = [(score[band == b], rating[band == b]) for b in np.unique(band)]
    return CalibrationCurve(
        line_score=(float(ends[0]), float(ends[1])),
        line_rating=(float(low), float(high)),
        band_score=np.array([s.mean() for s, _ in groups]),
        band_rating=np.array([r.mean() for _, r in groups]),
        band_error=np.array([_half_interval(r) for _, r in groups]),
    )


def _half_interval(rating: Floats) -> float:
    """Half of the interval of the mean of a few ratings."""
    if len(rating) < 2:
        return 0.0
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(rating) - 1) * stats.sem(rating))
