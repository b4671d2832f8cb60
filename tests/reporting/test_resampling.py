"""Resamples as weights: correlations under weights are those of the rows repeated."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from soundjudge.reporting import resampling

VALUES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=12)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_the_terms_of_tau_add_up_to_it(rows):
    x, y = np.array(rows, dtype=np.float64).T
    assume(np.ptp(x) > 0 < np.ptp(y))
    total = resampling.tau_terms(x, y).sum(axis=0)
    expected = stats.kendalltau(x, y).statistic
    assert total[0] / (total[1] * total[2]) ** 0.5 == pytest.approx(expected)
    once = resampling.tau_draws(resampling.tau_terms(x, y), np.ones((len(x), 1)))
    assert once[0] == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.data())
def test_a_weighted_correlation_is_that_of_repeated_rows(rows, data):
    x, y = np.array(rows, dtype=np.float64).T
    count = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(x), max_size=len(x))))
    repeated = np.repeat(x, count), np.repeat(y, count)
    assume(count.sum() > 1 and np.ptp(repeated[0]) > 0 < np.ptp(repeated[1]))
    column, reference = resampling.rank_column(x), resampling.rank_column(y)
    result = resampling.weighted_srcc([column], reference, count[:, None].astype(np.float64))
    assert result[0, 0] == pytest.approx(stats.spearmanr(*repeated).statistic)


def test_a_cluster_is_drawn_as_a_whole_and_two_are_crossed():
    one, two = np.array([0, 0, 1, 1, 2], dtype=np.int32), np.array([0, 1, 0, 1, 0], dtype=np.int32)
    (single,) = resampling.resample_weights(5, 50, seed=0, clusters=[one])
    (both,) = resampling.resample_weights(5, 50, seed=0, clusters=[one, two])
    assert (single[:, 0] == single[:, 1]).all()
    assert (single[:, [0, 2, 4]].sum(axis=1) == 3).all()
    of_two = both[:, :2] / np.where(single[:, :2] == 0, np.nan, single[:, :2])
    drawn = ~np.isnan(of_two).any(axis=1)
    assert (of_two[drawn].sum(axis=1) == 2).all()  # two clusters, drawn twice


def test_a_block_of_weights_does_not_grow_with_pairs_or_resamples():
    for pairs in (10, 3_000, 150_000):
        block = next(resampling.resample_weights(pairs, 10**6, seed=0))
        assert block.size <= max(resampling.BLOCK_WEIGHTS, pairs)
