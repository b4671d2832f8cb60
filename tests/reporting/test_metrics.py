"""The four numbers, by hand and against plain definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundjudge.reporting.metrics import correlation_metrics, ktau, lcc, mse, srcc


def test_values_worked_out_by_hand():
    # ranks of the prediction: 1 2 3 4, of the reference: 1 3 2 4; sum of squared differences 2
    prediction, reference = [0.0, 1.0, 2.0, 3.0], [1.0, 5.0, 2.0, 9.0]
    assert srcc(prediction, reference) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert ktau(prediction, reference) == pytest.approx((5 - 1) / 6)  # one of six pairs is swapped
    assert mse(prediction, reference) == pytest.approx((1 + 16 + 0 + 36) / 4)
    # deviations -1.5 -.5 .5 1.5 and -3.25 .75 -2.25 4.75; products sum to 10.5
    squares = 3.25**2 + 0.75**2 + 2.25**2 + 4.75**2
    assert lcc(prediction, reference) == pytest.approx(10.5 / math.sqrt(5.0 * squares))


def test_tau_b_corrects_for_ties():
    # pairs: 2 concordant, 0 discordant, 1 tied in the reference: 2 / sqrt(3 * 2)
    assert ktau([1.0, 2.0, 3.0], [1.0, 1.0, 2.0]) == pytest.approx(2 / math.sqrt(6))


def test_spearman_gives_ties_their_mean_rank():
    # ranks 1 2 3 and 1.5 1.5 3: Pearson of those
    assert srcc([1.0, 2.0, 3.0], [1.0, 1.0, 2.0]) == pytest.approx(1.5 / math.sqrt(2 * 1.5))


def test_all_four_at_once_are_the_same_numbers():
    prediction, reference = np.array([1.0, 2.0, 4.0]), np.array([2.0, 1.0, 5.0])
    scores = correlation_metrics(prediction, reference)
    assert scores["pairs"] == 3
    assert scores["srcc"] == srcc(prediction, reference)
    assert scores["mse"] == pytest.approx(1.0)


@pytest.mark.slow
@given(st.lists(st.integers(-50, 50), min_size=3, max_size=30, unique=True), st.randoms())
def test_rank_correlations_do_not_see_a_monotone_change(values, random):
    reference = values.copy()
    random.shuffle(reference)
    changed = [v**3 + 7 for v in values]
    assert srcc(values, reference) == pytest.approx(srcc(changed, reference))
    assert ktau(values, reference) == pytest.approx(ktau(changed, reference))


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], "shape"),
        ([1.0], [1.0], "at least 2"),
        ([1.0, float("nan")], [1.0, 2.0], "prediction has 1 values that are not finite"),
        ([1.0, 2.0], [1.0, float("inf")], "reference has 1 values that are not finite"),
        ([2.0, 2.0], [1.0, 2.0], "prediction is constant"),
        ([1.0, 2.0], [0.0, 0.0], "reference is constant"),
        ([[1.0, 2.0]], [[1.0, 2.0]], "shape"),
    ],
)
def test_what_has_no_correlation_is_an_error(prediction, reference, message):
    with pytest.raises(ValueError, match=message):
        correlation_metrics(prediction, reference)


def test_mse_of_a_constant_is_defined():
    assert mse([5.0, 5.0], [4.0, 6.0]) == 1.0
