"""The calibration line and the means by band, worked out by hand."""

import numpy as np
import pytest

from soundjudge.scoring.evaluation.calibration_curve import calibration_curve


def test_the_line_and_the_bands_by_hand():
    score, rating = np.array([1.0, 1.5, 3.2, 9.9, 10.0, 11.0]), np.array([2.0, 4, 3, 9, 9, 6])
    curve = calibration_curve(score, rating)
    assert curve.band_score == pytest.approx([1.25, 3.2, (9.9 + 10 + 11) / 3])
    assert curve.band_rating == pytest.approx([3, 3, 8])
    # t times sd / sqrt(n): sd of 2 and 4 is sqrt 2, that of 9, 9 and 6 is sqrt 3. The 97.5 % points
    # of t with 1 and with 2 degrees of freedom are those of printed tables.
    assert curve.band_error == pytest.approx([12.706, 0, 4.303], abs=5e-4)
    slope, shift = np.polyfit(score, rating, 1)
    assert curve.line_score == (1.0, 11.0)
    assert curve.line_rating == pytest.approx((shift + slope, shift + 11 * slope))


def test_scores_below_zero_are_of_the_first_band():
    curve = calibration_curve(np.array([-3.0, 0.5, 5.0]), np.array([0.0, 2.0, 5.0]))
    assert curve.band_rating == pytest.approx([1, 5])
