"""The noise ceiling as a range: what the truth itself reaches lies in it, whatever its shape."""

from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from soundjudge.labels.ratings import deconvolution, noise_ceiling, reliability
from soundjudge.reporting import metrics

SHAPES = {
    "U": lambda rng, pairs: 10 * rng.beta(0.5, 0.5, pairs),
    "XACLE": lambda rng, pairs: 10 * rng.beta(1.3, 0.5, pairs),
    "bell": lambda rng, pairs: np.clip(rng.normal(5, 1.8, pairs), 0, 10),
    "heaps": lambda rng, pairs: rng.choice([2.0, 5.0, 9.0], pairs),
    "heap at 10": lambda rng, pairs: np.where(
        rng.random(pairs) < 0.4, 10, rng.uniform(0, 10, pairs)
    ),
}


def rate(truth, raters, noise, careless, rng):
    """Whole points cut at 0 and 10 by listeners with bias, scale and noise, some at random."""
    shape = (len(truth), raters)
    felt = 5 + rng.normal(0, 0.9, shape) + np.exp(rng.normal(0, 0.2, shape)) * (truth[:, None] - 5)
    felt = felt + rng.normal(0, noise, shape)
    felt = np.where(rng.random(shape) < careless, rng.uniform(-0.5, 10.5, shape), felt)
    return np.clip(np.rint(felt), 0, 10)


def table(scores):
    names = [f"{p}.wav" for p in range(len(scores))]
    return pd.DataFrame(
        {
            "wav_file_name": np.repeat(names, scores.shape[1]),
            "text": "t",
            "score": scores.ravel(),
        }
    )


def deconvolved_ceiling(ratings):
    counts = deconvolution.count_ratings(*reliability.pairs_and_scores(ratings))
    return deconvolution.truth_ceiling(deconvolution.fit_truth(counts), counts)


def simulate(shape, pairs, raters, noise, careless, seed=0):
    """The ratings, and what the truth itself reaches with their means."""
    rng = np.random.default_rng(seed)
    truth = SHAPES[shape](rng, pairs)
    scores = rate(truth, raters, noise, careless, rng)
    expected = np.mean([rate(truth, 50, noise, careless, rng).mean(axis=1) for _ in range(4)], 0)
    means = scores.mean(axis=1)
    reached = reliability.Ceiling(
        srcc=metrics.srcc(truth, means),
        lcc=metrics.lcc(expected, means),
        ktau=metrics.ktau(truth, means),
        mse=metrics.mse(expected, means),
    )
    return table(scores), reached


@pytest.mark.parametrize("shape", ["U", "XACLE", "bell"])
@pytest.mark.parametrize("raters", [4, 8])
@pytest.mark.slow
def test_deconvolution_finds_the_ceiling_of_any_smooth_truth(shape, raters):
    errors = []
    for seed in range(4):
        ratings, reached = simulate(shape, 3000, raters, noise=1.3, careless=0.05, seed=seed)
        ceiling = deconvolved_ceiling(ratings)
        errors.append(np.array(astuple(ceiling)) - np.array(astuple(reached)))
    srcc, lcc, ktau, mse = np.abs(np.mean(errors, axis=0))
    assert max(srcc, lcc) < 0.01
    assert ktau < 0.012
    assert mse < 0.05 * reached.mse


def test_split_halves_are_too_high_where_the_truth_piles_up_and_deconvolution_is_not():
    ratings, reached = simulate("XACLE", 3000, 4, noise=1.3, careless=0.05)
    classical = reliability.noise_ceiling(ratings, seed=0)
    assert classical.srcc > reached.srcc + 0.025
    assert deconvolved_ceiling(ratings).srcc < reached.srcc + 0.01


@pytest.mark.parametrize("shape", list(SHAPES))
def test_high_noise_costs_a_fiftieth(shape):
    ratings, reached = simulate(shape, 3000, 4, noise=2.6, careless=0.15)
    assert deconvolved_ceiling(ratings).srcc < reached.srcc + 0.022


@pytest.mark.parametrize("shape", ["heaps", "heap at 10"])
@pytest.mark.parametrize("noise", [1.3, 2.6])
def test_of_heaps_deconvolution_is_a_little_low_and_the_range_holds(shape, noise):
    ratings, reached = simulate(shape, 3000, 4, noise=noise, careless=0.05)
    low = deconvolved_ceiling(ratings).srcc
    assert reached.srcc - 0.04 < low < reached.srcc
    assert reliability.noise_ceiling(ratings, seed=0).srcc > reached.srcc - 0.005


def test_the_fit_finds_noise_and_carelessness():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 10, 4000)
    scores = np.clip(np.rint(truth[:, None] + rng.normal(0, 1.5, (4000, 6))), 0, 10)
    scores = np.where(rng.random(scores.shape) < 0.1, rng.integers(0, 11, scores.shape), scores)
    pair = np.repeat(np.arange(4000), 6).astype(np.int32)
    fitted = deconvolution.fit_truth(deconvolution.count_ratings(pair, scores.ravel()))
    assert fitted.noise == pytest.approx(1.5, rel=0.05)
    assert fitted.careless == pytest.approx(0.1, abs=0.02)
    assert fitted.weights @ fitted.grid == pytest.approx(truth.mean(), abs=0.1)


@pytest.mark.slow
def test_the_ceiling_of_a_fitted_truth_is_that_of_ratings_drawn_from_it():
    ratings, _ = simulate("XACLE", 400, 4, noise=1.3, careless=0.05)
    ratings = ratings.drop(index=range(0, 400, 3))  # pairs of 2, 3 and 4 ratings
    pair, score = reliability.pairs_and_scores(ratings)
    counts = deconvolution.count_ratings(pair, score)
    truth = deconvolution.fit_truth(counts)
    ceiling = deconvolution.truth_ceiling(truth, counts)
    rng = np.random.default_rng(1)
    value = rng.choice(len(truth.grid), 20_000, p=truth.weights / truth.weights.sum())
    sizes = rng.permutation(np.resize(np.bincount(pair), len(value)))
    probabilities = truth.rating_probabilities(counts.levels)
    means = np.array(
        [
            rng.choice(counts.levels, size, p=probabilities[v]).mean()
            for v, size in zip(value, sizes, strict=True)
        ]
    )
    expected = (probabilities @ counts.levels)[value]
    assert ceiling.lcc == pytest.approx(metrics.lcc(expected, means), abs=0.006)
    assert ceiling.mse == pytest.approx(metrics.mse(expected, means), rel=0.04)
    untied = value + rng.uniform(0, 0.9, len(value))  # a continuous truth with these masses
    assert ceiling.srcc == pytest.approx(metrics.srcc(untied, means), abs=0.008)
    assert ceiling.ktau == pytest.approx(metrics.ktau(untied, means), abs=0.008)


def test_draws_are_those_of_the_resampled_pairs():
    ratings, _ = simulate("bell", 200, 4, noise=1.3, careless=0.0)
    rng = np.random.default_rng(3)
    weight = rng.multinomial(200, np.full(200, 1 / 200)).astype(np.float64)
    both = noise_ceiling.ceiling_range(ratings, np.stack([np.ones(200), weight]), seed=0)
    assert both.classical_draws[0] == pytest.approx(np.array(astuple(both.classical)))
    assert both.deconvolved_draws[0] == pytest.approx(np.array(astuple(both.deconvolved)))
    scores = ratings["score"].to_numpy().reshape(200, 4)
    again = table(np.repeat(scores, weight.astype(int), axis=0))
    expected = reliability.noise_ceiling(again, seed=0)
    # LCC and MSE know no halves: exact but for the shift of the first draw, which is 0 for them.
    assert both.classical_draws[1, [1, 3]] == pytest.approx([expected.lcc, expected.mse])
    assert both.classical_draws[1, 0] == pytest.approx(expected.srcc, abs=0.01)
    expected = deconvolved_ceiling(again)
    assert both.deconvolved_draws[1] == pytest.approx(np.array(astuple(expected)))


def test_the_noise_is_fitted_as_scipy_does_with_differences_for_a_gradient(monkeypatch):
    ratings, _ = simulate("XACLE", 200, 4, 1.5, 0.05)
    counts = deconvolution.count_ratings(*reliability.pairs_and_scores(ratings))
    ours = deconvolution.fit_truth(counts)
    minimize = deconvolution.minimize

    def by_differences(function, start, jac, **options):
        return minimize(lambda parameters: function(parameters)[0], start, **options)

    monkeypatch.setattr(deconvolution, "minimize", by_differences)
    theirs = deconvolution.fit_truth(counts)
    assert ours.noise == pytest.approx(theirs.noise, rel=1e-4)
    assert ours.careless == pytest.approx(theirs.careless, rel=1e-3)
    assert np.abs(ours.weights - theirs.weights).max() < 1e-5
