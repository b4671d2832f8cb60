"""Intervals over seeds and pairs are Student's where pairs do not matter, and hold their share."""

import numpy as np
import pytest
from repository import load_benchmark
from scipy import stats

intervals = load_benchmark("seed_intervals")


def test_without_chance_of_pairs_the_interval_is_students():
    values = [0.4, 0.5, 0.6]  # s = 0.1; t(0.975, 2) = 4.3027
    found = intervals.mean_interval(values, np.tile(values, (50, 1)))
    assert found.value == pytest.approx(0.5)
    assert found.hi - found.value == pytest.approx(4.3027 * 0.1 / np.sqrt(3), rel=1e-4)
    assert found.value - found.lo == pytest.approx(found.hi - found.value)


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5]])
def test_without_chance_of_seeds_the_interval_is_that_of_pairs(values):
    draws = np.repeat(np.random.default_rng(0).normal(0.5, 0.03, (500, 1)), len(values), axis=1)
    half = 1.95996 * draws[:, 0].std(ddof=1)
    found = intervals.mean_interval(values, draws)
    assert found.hi - found.value == pytest.approx(half, rel=1e-4)


@pytest.mark.slow
def test_the_interval_holds_the_truth_of_new_seeds_and_new_pairs():
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):  # a number that is a mean over 50 pairs, of three seeds
        seeds = rng.normal(0, 0.15, 3)
        pairs = rng.normal(0, 1, (50, 1)) + rng.normal(0, 0.3, (50, 3)) + seeds
        draws = pairs[rng.integers(50, size=(200, 50))].mean(axis=1)
        found = intervals.mean_interval(pairs.mean(axis=0), draws)
        held += found.lo <= 0 <= found.hi
    assert held / 400 == pytest.approx(0.95, abs=0.025)


def test_draws_are_correlations_on_resampled_pairs():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=60)
    scores = [truth + rng.normal(size=60), -truth]
    draws = intervals.srcc_draws(scores, truth)
    assert draws.shape == (intervals.RESAMPLES, 2)
    assert draws[:, 1] == pytest.approx(-1)
    assert draws[:, 0].mean() == pytest.approx(
        stats.spearmanr(scores[0], truth).statistic, abs=0.03
    )


def test_a_cell_has_mean_spread_and_interval():
    values, draws = [0.4, 0.6], np.full((9, 2), 0.5)
    assert intervals.cell(values, draws) == "0.500 ± 0.141 [-0.771, 1.771]"  # t(.975, 1) = 12.706
    assert intervals.cell([0.4], draws[:, :1] * 0.8, "+") == "+0.400 [+0.400, +0.400]"
