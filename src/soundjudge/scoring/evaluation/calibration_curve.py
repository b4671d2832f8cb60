"""How scores relate to mean ratings: the calibration line, and the mean rating by band of scores.

N = pairs, B = bands that hold a pair. The means by band are a reliability diagram: calibrated
scores lie on the diagonal (DeGroot and Fienberg 1983).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BANDS = np.linspace(0, 10, 11)  # edges of score bands, a point wide
NORMAL_95 = 1.96  # standard errors in half an interval of a mean


@dataclass(frozen=True, kw_only=True)
class CalibrationCurve:
    """Numbers of a system on 0 to 10; scores beyond these are of the outer bands."""

    line_score: tuple[float, float]  # the lowest and the highest score
    line_rating: tuple[float, float]  # what least squares expect there
    band_score: Floats  # (B,) mean score
    band_rating: Floats  # (B,) mean rating
    band_error: Floats  # (B,) half of its 95 % interval; 0 for one pair


def calibration_curve(score: Floats, rating: Floats) -> CalibrationCurve:
    """The curve of scores (N,), not constant, and mean ratings (N,), 0 to 10."""
    ends = np.array([score.min(), score.max()])
    low, high = np.polynomial.Polynomial.fit(score, rating, 1)(ends)
    band = np.clip(np.digitize(score, BANDS) - 1, 0, len(BANDS) - 2)
    groups = [(score[band == b], rating[band == b]) for b in np.unique(band)]
    errors = [NORMAL_95 * r.std(ddof=1) / len(r) ** 0.5 if len(r) > 1 else 0.0 for _, r in groups]
    return CalibrationCurve(
        line_score=(float(ends[0]), float(ends[1])),
        line_rating=(float(low), float(high)),
        band_score=np.array([s.mean() for s, _ in groups]),
        band_rating=np.array([r.mean() for _, r in groups]),
        band_error=np.array(errors),
    )
