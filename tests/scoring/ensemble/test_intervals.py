"""Intervals hold as many mean ratings as they aim at, and are wider where members disagree."""

import numpy as np
import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.ensemble.intervals import (
    Intervals,
    conformal_quantile,
    fit_intervals,
    member_ratings,
    members_spread,
)


def ensemble(*weights: float) -> Ensemble:
    """Standardized scores z, calibrated to 5 + 2 z."""
    return Ensemble(
        members=tuple("abc"[: len(weights)]),
        mean=(1.0,) * len(weights),
        std=(2.0,) * len(weights),
        weights=weights,
        calibration=Calibration(method="linear", scores=(0.0, 1.0), ratings=(5.0, 7.0)),
    )


def simulated(count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Scores, spreads and ratings whose error grows with the spread: sd = 0.3 + spread."""
    rng = np.random.default_rng(seed)
    scores, spread = rng.uniform(3, 7, count), rng.exponential(0.6, count)
    return scores, spread, scores + (0.3 + spread) * rng.normal(size=count)


def test_members_stand_on_the_ensembles_scale_and_their_spread_is_weighted():
    scores = np.array([[1.0, 3.0, 9.0], [5.0, 5.0, 0.0]])  # z is 0, 1, 4 and 2, 2, -.5
    fitted = ensemble(0.25, 0.75, 0.0)
    assert member_ratings(fitted, scores).tolist() == [[5.0, 7.0, 13.0], [9.0, 9.0, 4.0]]
    # The mean of 5 and 7 is 6.5; .25 * 1.5^2 + .75 * .5^2 = .75. A member without weight is silent.
    assert members_spread(fitted, scores) == pytest.approx([0.75**0.5, 0.0])


def test_the_quantile_is_the_next_order_statistic():
    values = np.array([5.0, 1.0, 3.0, 2.0, 4.0, 9.0, 8.0, 7.0, 6.0])
    assert conformal_quantile(values, 0.9) == 9.0  # (9 + 1) * .9 = 9th
    assert conformal_quantile(values, 0.75) == 8.0  # 7.5, so the 8th
    with pytest.raises(SoundjudgeError, match="9 validation pairs are too few"):
        conformal_quantile(values, 0.95)


def test_bounds_by_hand():
    learned = Intervals(coverage=0.9, floor=1.0, slope=0.5, quantile=2.0, difference=3.0)
    low, high = learned.bounds(np.array([5.0, 9.0]), np.array([0.0, 2.0]))
    assert (low.tolist(), high.tolist()) == ([3.0, 5.0], [7.0, 10.0])


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_new_pairs_lie_within_as_often_as_aimed_at_also_where_members_disagree(coverage):
    learned = fit_intervals(*simulated(4000, 0), coverage)
    scores, spread, rating = simulated(20_000, 1)
    low, high = learned.bounds(scores, spread)
    inside = (low <= rating.clip(0, 10)) & (rating.clip(0, 10) <= high)
    assert inside.mean() == pytest.approx(coverage, abs=0.02)
    wide = spread > np.quantile(spread, 0.8)
    for part in (wide, ~wide):  # intervals of one width would hold .6 and .97 of them at .9
        assert inside[part].mean() == pytest.approx(coverage, abs=0.04)
    assert learned.slope / learned.floor == pytest.approx(1 / 0.3, rel=0.2)


@pytest.mark.slow
def test_differences_above_the_noise_have_the_order_of_the_ratings():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 10, 3000)
    rating = scores + rng.normal(size=3000)
    learned = fit_intervals(scores, np.zeros(3000), rating, 0.9)
    # The noise of a difference has an sd of 2^.5, and 1.2816 is the normal quantile of .9.
    assert learned.difference == pytest.approx(2**0.5 * 1.2816, abs=0.1)
    close = np.abs(np.subtract.outer(scores, scores) - learned.difference) < 0.2
    ordered = np.subtract.outer(rating, rating)[close] > 0
    assert ordered.mean() == pytest.approx(0.9, abs=0.02)


def test_members_that_agree_get_an_interval_all_the_same():
    rng = np.random.default_rng(0)
    spread = rng.exponential(1.0, 500)
    learned = fit_intervals(np.full(500, 5.0), spread, 5 + spread * rng.normal(size=500), 0.9)
    assert learned.floor > 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"coverage": 1.0}, "coverage is 1.0"),
        ({"floor": 0.0}, "floor is 0.0: it must be above 0"),
        ({"quantile": float("nan")}, "quantile is nan"),
        ({"difference": -1.0}, "difference is -1.0"),
        ({"slope": -0.1}, "slope is -0.1: it must be 0 or more"),
    ],
)
def test_absurd_intervals_are_refused(changes, sentence):
    values = {"coverage": 0.9, "floor": 1.0, "slope": 0.0, "quantile": 1.0, "difference": 1.0}
    with pytest.raises(SoundjudgeError, match=sentence):
        Intervals(**(values | changes))
    with pytest.raises(SoundjudgeError, match="no error to learn from"):
        fit_intervals(np.ones(20), np.zeros(20), np.ones(20), 0.9)
