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


def test_up_to_many_items_the_draws_are_those_of_published_numbers():
    rng = np.random.default_rng(4)
    expected = np.concatenate([rng.multinomial(3_000, np.full(3_000, 1 / 3_000), 9) for _ in "ab"])
    blocks = resampling.resample_weights(3_000, 18, seed=4)
    assert np.array_equal(np.concatenate([*blocks]), expected)


@pytest.mark.parametrize("clustered", [False, True])
def test_counts_of_many_items_are_of_a_multinomial_distribution(clustered):
    items = resampling.MANY + 1
    clusters = [np.arange(items, dtype=np.int32)] if clustered else []
    blocks = resampling.resample_weights(items, 40, seed=0, clusters=clusters)
    counts = np.concatenate([*blocks])
    assert counts.shape == (40, items) and (counts.sum(axis=1) == items).all()
    assert not np.array_equal(counts[0], counts[-1])
    # 0, 1, 2, ... times with the probabilities of a binomial count, to four standard errors.
    share = np.bincount(counts.ravel(), minlength=7)[:7] / counts.size
    expected = stats.binom.pmf(np.arange(7), items, 1 / items)
    assert np.abs(share - expected).max() < 4 * (0.25 / counts.size) ** 0.5
    assert counts.var() == pytest.approx(1 - 1 / items, abs=0.02)
    # Two items share their draws: the covariance of their counts is -1 / items, as good as none.
    assert abs(np.corrcoef(counts[:, :-1].ravel(), counts[:, 1:].ravel())[0, 1]) < 0.01


def test_many_pairs_have_the_interval_that_fisher_gives(monkeypatch):
    pairs = resampling.MANY + 1
    x, noise = np.random.default_rng(0).normal(size=(2, pairs))
    columns, draws = np.stack([x, x + noise], axis=1), {}
    for name, many in (("counted", resampling.MANY), ("multinomial", 2 * pairs)):
        monkeypatch.setattr(resampling, "MANY", many)
        blocks = resampling.resample_weights(pairs, 400, seed=0)
        of_blocks = [
            resampling.weighted_lcc(columns[:, :1], columns[:, 1], b.T.astype(np.float64))
            for b in blocks
        ]
        draws[name] = np.concatenate(of_blocks)[:, 0]
    error = (1 - 0.5) / pairs**0.5  # of a correlation r of normal data: (1 - r^2) / sqrt(N)
    for values in draws.values():
        assert values.std() == pytest.approx(error, rel=0.15)
        assert values.mean() == pytest.approx(np.corrcoef(columns.T)[0, 1], abs=error / 4)


def test_a_block_of_weights_does_not_grow_with_pairs_or_resamples():
    for pairs in (10, 3_000, 150_000):
        block = next(resampling.resample_weights(pairs, 10**6, seed=0))
        assert block.size <= max(resampling.BLOCK_WEIGHTS, pairs)
