import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import calibration
from soundjudge.scoring.ensemble.calibration import Calibration


def array(*values):
    return np.array(values, dtype=np.float64)


def test_a_line_is_the_least_squares_line_and_goes_on_beyond_its_knots():
    score, rating = array(0, 1, 2, 3), array(1, 3, 5, 7) + array(0.5, -0.5, -0.5, 0.5)
    curve = calibration.fit_calibration(score, rating, "linear")
    # Slope and offset by hand: the added errors are orthogonal to the line 1 + 2 x.
    assert calibration.apply_calibration(curve, array(-1, 0, 1.5, 10)) == pytest.approx(
        [-1, 1, 4, 21]
    )


def test_a_line_through_noise_is_that_of_polyfit():
    rng = np.random.default_rng(0)
    score = rng.normal(size=200)
    rating = 5 + score + rng.normal(size=200)
    curve = calibration.fit_calibration(score, rating, "linear")
    assert calibration.apply_calibration(curve, score) == pytest.approx(
        np.polyval(np.polyfit(score, rating, 1), score)
    )


def test_isotonic_knots_by_hand():
    # 3, 1 violate the order and pool to 2 at score 1.5; 6 and 6 at equal scores are one point.
    curve = calibration.fit_calibration(array(0, 1, 2, 4, 4), array(0, 3, 1, 5, 7), "isotonic")
    assert curve.scores == (0, 1.5, 4)
    assert curve.ratings == (0, 2, 6)
    assert calibration.apply_calibration(curve, array(-1.5, 1.5, 2.75, 5)) == pytest.approx(
        [-2, 2, 4, 7.6]
    )


def test_isotonic_steps_have_the_levels_of_isotonic_regression():
    rng = np.random.default_rng(0)
    score = rng.normal(size=300)
    rating = 5 + score + rng.normal(size=300)
    curve = calibration.fit_calibration(score, rating, "isotonic")
    levels = IsotonicRegression().fit_transform(score, rating)
    assert curve.ratings == pytest.approx(np.unique(levels.round(9)), abs=1e-8)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 40)), min_size=3, max_size=40),
    st.sampled_from(["linear", "isotonic"]),
)
def test_a_calibration_never_changes_the_order_of_scores(points, method):
    score, rating = np.array(points, dtype=np.float64).T / 4
    try:
        curve = calibration.fit_calibration(score, rating, method)
    except SoundjudgeError:
        return
    grid = np.linspace(-10, 10, 101)
    assert (np.diff(calibration.apply_calibration(curve, grid)) > 0).all()


def test_a_line_that_rises_by_rounding_alone_is_no_rise():
    with pytest.raises(SoundjudgeError, match="do not rise"):
        calibration.fit_calibration(array(0.5, 0, 0), array(0.25, 0, 0.5), "linear")


def test_the_isotonic_curve_has_a_little_more_error_than_isotonic_regression():
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 10, 200)
    rating = np.clip(score + rng.normal(0, 2, 200), 0, 10)
    curve = calibration.fit_calibration(score, rating, "isotonic")
    errors = [
        np.mean((values - rating) ** 2)
        for values in (
            IsotonicRegression().fit_transform(score, rating),
            calibration.apply_calibration(curve, score),
        )
    ]
    assert errors[0] < errors[1] < 1.2 * errors[0]


@pytest.mark.parametrize("method", ["linear", "isotonic"])
def test_scores_that_fall_as_ratings_rise_are_refused(method):
    with pytest.raises(SoundjudgeError, match="do not rise"):
        calibration.fit_calibration(array(1, 2, 3), array(3, 2, 1), method)
    with pytest.raises(SoundjudgeError, match="all scores are equal"):
        calibration.fit_calibration(array(1, 1, 1), array(3, 2, 1), method)


@pytest.mark.parametrize(
    ("scores", "ratings"), [((0.0,), (1.0,)), ((0.0, 1.0), (1.0,)), ((1.0, 0.0), (0.0, 1.0))]
)
def test_knots_that_do_not_rise_are_refused(scores, ratings):
    with pytest.raises(SoundjudgeError, match="knots"):
        Calibration(method="linear", scores=scores, ratings=ratings)
