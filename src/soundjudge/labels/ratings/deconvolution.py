"""The noise ceiling by deconvolution: which true values and which noise explain these ratings?

A rating is the pair's true value plus normal noise, rounded to the scale and cut at its ends, or,
with the careless share, any value of the scale. The truth has a free distribution on a grid
(Laird 1978), so it may pile up at an end of the scale, where the split halves of `reliability`
err. The ceiling then follows from the joint distribution of truth and mean rating, not from draws.

U = distinct rows of ratings, L = levels of the scale, G = points of the grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit, ndtr

from soundjudge.labels.ratings.rating_arrays import Codes, Floats
from soundjudge.labels.ratings.reliability import Ceiling

GRID, FINE_LEVELS = 41, 51  # points of the truth's grid; levels of ratings that are no integers
# Few steps from a flat truth keep it smooth: on the way to the likelihood's maximum, which is a
# few spikes, the ceiling hardly changes (benchmarks/ceiling.md).
ROUNDS, STEPS = 10, 5


@dataclass(frozen=True, kw_only=True)
class RatingCounts:
    """How often each level of the scale was given to a pair; equal pairs share a row."""

    levels: Floats  # (L,) evenly spaced
    counts: Floats  # (U, L)
    row: Codes  # (P,) of each pair
    values: Floats  # the distinct values of the mean rating, rising
    sizes: list[int]  # the distinct numbers of ratings of a pair


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The fitted distribution of true values, and the noise of a rating."""

    grid: Floats  # (G,)
    weights: Floats  # (G,) sum 1
    noise: float  # standard deviation before rounding and cutting, rating points
    careless: float  # share of ratings that are random

    def rating_probabilities(self, levels: Floats) -> Floats:
        """Of each level given each true value. (G, L)"""
        return _rating_probabilities(self.grid, levels, self.noise, self.careless)


def count_ratings(pair: Codes, score: Floats) -> RatingCounts:
    """The ratings (N,) of pairs 0 to P - 1, by level; scores that are no integers are rounded."""
    low, high = min(0.0, float(np.floor(score.min()))), max(10.0, float(np.ceil(score.max())))
    whole = bool((score == np.rint(score)).all()) and high - low < FINE_LEVELS
    levels = np.linspace(low, high, round(high - low) + 1 if whole else FINE_LEVELS)
    level = np.rint((score - low) / (levels[1] - levels[0])).astype(np.int64)
    pairs = int(pair.max()) + 1
    flat = np.bincount(pair.astype(np.int64) * len(levels) + level, minlength=pairs * len(levels))
    rows, row = np.unique(flat.reshape(pairs, -1), axis=0, return_inverse=True)
    sizes = [int(size) for size in np.unique(rows.sum(axis=1))]
    values = np.concatenate([_mean_values(levels, size) for size in sizes])
    return RatingCounts(
        levels=levels,
        counts=rows.astype(np.float64),
        row=row.reshape(-1).astype(np.int32),
        values=np.unique(values),
        sizes=sizes,
    )


def fit_truth(ratings: RatingCounts, weights: Floats | None = None) -> Truth:
    """Maximum likelihood by EM, of pairs that count `weights` (P,) times, by default once."""
    multiplicity = np.bincount(ratings.row, weights=weights, minlength=len(ratings.counts))
    used = multiplicity > 0
    counts, multiplicity = ratings.counts[used], multiplicity[used]
    grid = np.linspace(ratings.levels[0], ratings.levels[-1], GRID)
    truth, total = np.full(GRID, 1 / GRID), multiplicity.sum()
    noise, careless = (grid[-1] - grid[0]) * 0.15, 0.05
    for _ in range(ROUNDS):
        log = counts @ np.log(_rating_probabilities(grid, ratings.levels, noise, careless)).T
        likelihood = np.exp(log - log.max(axis=1, keepdims=True))  # (U, G)
        for _ in range(STEPS):
            truth = truth * ((multiplicity / (likelihood @ truth)) @ likelihood) / total
        posterior = likelihood * truth
        posterior *= (multiplicity / posterior.sum(axis=1))[:, None]
        noise, careless = _fit_noise(posterior.T @ counts, grid, ratings.levels, noise, careless)
    return Truth(grid=grid, weights=truth, noise=noise, careless=careless)


def truth_ceiling(truth: Truth, ratings: RatingCounts, weights: Floats | None = None) -> Ceiling:
    """The metrics of the expected rating against the mean rating, were there endless such pairs.

    True values within a step of the grid count as different and in no known order, since the truth
    is taken to be continuous. On smooth truths all four are right to .01 (floor: 5 per cent);
    where many pairs are truly equal SRCC is .01 to .03 and KTAU .05 to .09 too low
    (benchmarks/ceiling.md).
    """
    joint, levels = np.zeros((GRID, len(ratings.values))), ratings.levels
    probabilities = truth.rating_probabilities(levels)
    for size, share in _size_shares(ratings, weights):
        columns = np.searchsorted(ratings.values, _mean_values(levels, size))
        joint[:, columns] += (
            share * truth.weights[:, None] * _sum_probabilities(probabilities, size)
        )
    expected, value = probabilities @ levels, ratings.values
    of_truth, of_value = joint.sum(axis=1), joint.sum(axis=0)
    x, y = expected - of_truth @ expected, value - of_value @ value
    return Ceiling(
        srcc=_ratio(
            float(_mid_ranks(of_truth) @ joint @ _mid_ranks(of_value)),
            float(of_value @ _mid_ranks(of_value) ** 2) / 12,  # 1/12: of ranks without ties
        ),
        lcc=_ratio(float(x @ joint @ y), float((of_truth @ x**2) * (of_value @ y**2))),
        ktau=_ratio(_concordance(joint), 1 - float(of_value @ of_value)),
        mse=float(np.sum(joint * (expected[:, None] - value) ** 2)),
    )


def _rating_probabilities(grid: Floats, levels: Floats, noise: float, careless: float) -> Floats:
    edges = (levels[1:] + levels[:-1]) / 2
    attentive = _interval_shares(ndtr((edges - grid[:, None]) / noise), 1.0)
    probabilities: Floats = (1 - careless) * attentive + careless / len(levels)
    return probabilities


def _interval_shares(below: Floats, total: float) -> Floats:
    """What lies between the edges, given what lies below each, up to `total`. -> (G, L)"""
    ends = np.zeros((len(below), 1))
    return np.diff(np.concatenate([ends, below, ends + total], axis=1), axis=1)


def _fit_noise(
    expected: Floats, grid: Floats, levels: Floats, noise: float, careless: float
) -> tuple[float, float]:
    """A few steps up the likelihood of `expected` (G, L) ratings, by log and logit."""
    edges = (levels[1:] + levels[:-1]) / 2

    def negative(parameters: Floats) -> tuple[float, Floats]:
        share = float(expit(parameters[1]))
        z = (edges - grid[:, None]) / np.exp(parameters[0])  # (G, L - 1)
        attentive = _interval_shares(ndtr(z), 1.0)
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        probabilities = (1 - share) * attentive + share / len(levels)  # (G, L)
        ratio = expected / probabilities
        by_noise = (1 - share) * np.sum(ratio * _interval_shares(-z * density, 0.0))
        by_share = share * (1 - share) * np.sum(ratio * (1 / len(levels) - attentive))
        value = -float(np.sum(expected * np.log(probabilities)))
        return value, -np.array([by_noise, by_share])

    start = [np.log(noise), logit(careless)]
    step = levels[1] - levels[0]
    bounds = [(np.log(0.1 * step), np.log(levels[-1] - levels[0])), (-9, 3)]
    fit = minimize(
        negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 4}
    )
    noise_log, careless_logit = fit.x
    return float(np.exp(noise_log)), float(expit(careless_logit))


def _size_shares(ratings: RatingCounts, weights: Floats | None) -> Iterator[tuple[int, float]]:
    """The share of pairs with each number of ratings."""
    multiplicity = np.bincount(ratings.row, weights=weights, minlength=len(ratings.counts))
    size = ratings.counts.sum(axis=1)
    for one in ratings.sizes:
        yield one, float(multiplicity[size == one].sum() / multiplicity.sum())


def _mean_values(levels: Floats, size: int) -> Floats:
    """The possible means of `size` ratings, rising; rounded, so that equal ones are equal."""
    means: Floats = np.round(
        levels[0] + (levels[1] - levels[0]) * np.arange(size * (len(levels) - 1) + 1) / size, 9
    )
    return means


def _sum_probabilities(probabilities: Floats, size: int) -> Floats:
    """Of the sum of `size` ratings given each true value. (G, L) -> (G, size * (L - 1) + 1)"""
    length = size * (probabilities.shape[1] - 1) + 1
    transform = np.fft.rfft(probabilities, length, axis=1) ** size
    return np.maximum(np.fft.irfft(transform, length, axis=1), 0)


def _mid_ranks(probabilities: Floats) -> Floats:
    """Ranks between -1/2 and 1/2, ties at their mean."""
    ranks: Floats = np.cumsum(probabilities) - probabilities / 2 - 0.5
    return ranks


def _concordance(joint: Floats) -> float:
    """The probability that two pairs are in the same order by truth and value, less opposite."""
    below = np.vstack([np.zeros(joint.shape[1]), np.cumsum(joint, axis=0)[:-1]])  # of smaller truth
    cumulated = np.cumsum(below, axis=1)
    smaller = cumulated - below
    larger = cumulated[:, -1:] - cumulated
    return 2 * float(np.sum(joint * (smaller - larger)))


def _ratio(covariance: float, squared_spread: float) -> float:
    return min(1.0, covariance / squared_spread**0.5) if squared_spread > 0 else np.nan
