"""The agreement of listeners, and the best correlation that any judge can have with their mean.

The mean of k ratings is the pair's true value plus noise, so even the truth correlates with it by
no more than sqrt(reliability of the mean): the noise ceiling (Spearman 1904).

N = ratings, P = pairs, R = resamples of the pairs, k = ratings of a pair (it may differ between
pairs). Weights (R, P) are how often each pair counts; without resampling they are one row of ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.rating_arrays import Codes, Floats
from soundjudge.reporting import resampling

# Random splits in halves to average over: their spread is then far below that of the pairs. With
# very many ratings fewer splits are enough.
MAX_SPLITS, MIN_SPLITS, SHUFFLED_RATINGS = 100, 4, 10_000_000

Weighted = Callable[[Floats], Floats]  # weights (P, R) to correlations (R, 1) under them
Correlation = Callable[[Floats, Floats], Weighted]  # of two columns (P,)


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The metrics of the true value of every pair against the mean rating."""

    srcc: float
    lcc: float
    ktau: float
    mse: float  # the floor: the noise of the mean rating, in squared points


def linear(first: Floats, second: Floats) -> Weighted:
    """Pearson's correlation of two columns (P,)."""
    return partial(resampling.weighted_lcc, first[:, None], second)


def rank(first: Floats, second: Floats) -> Weighted:
    """Spearman's correlation of two columns (P,)."""
    columns = [resampling.rank_column(first)]
    return partial(resampling.weighted_srcc, columns, resampling.rank_column(second))


def agreement(ratings: pd.DataFrame) -> dict[str, float]:
    """icc, icc_mean and alpha of a RATINGS table (one split); 1 = perfect, 0 = by chance."""
    pair, score = pairs_and_scores(ratings)
    several = np.bincount(pair)[pair] > 1
    if np.ptp(score[several]) == 0:
        raise ReliabilityError("all ratings are equal: agreement cannot be measured")
    values = coefficients(pair, score, np.ones((1, int(pair.max()) + 1)))
    return {name: float(values[name][0]) for name in ("icc", "icc_mean", "alpha")}


def coefficients(pair: Codes, score: Floats, weights: Floats) -> dict[str, Floats]:
    """icc, icc_mean, alpha and floor_mse (R,) under weights (R, P); NaN where undefined.

    icc, of a single rating: ICC(1,1) of Shrout and Fleiss 1979, one-way random effects, pairs of
    unequal k allowed; icc_mean, of the mean rating. alpha: Krippendorff's for interval data,
    without pairs with one rating. floor_mse: the noise of the mean rating, in squared points.
    """
    count = np.bincount(pair).astype(np.float64)  # (P,)
    mean = np.bincount(pair, weights=score) / count
    within = np.bincount(pair, weights=(score - mean[pair]) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs, total = weights.sum(axis=1), weights @ count  # (R,)
        noise = (weights @ within) / (total - pairs)
        between = _spread(weights, count, mean) / (pairs - 1)
        typical = (total - (weights @ count**2) / total) / (pairs - 1)
        icc = (between - noise) / (between + (typical - 1) * noise)
        # A mean's noise is proportional to 1/k: its average is that of the harmonic mean of k.
        harmonic = pairs / (weights @ (1 / count))
        several = np.where(count > 1, count, 0.0)
        total = weights @ several
        observed = weights @ (2 * several / np.maximum(count - 1, 1) * within) / total
        squares = _spread(weights, several, mean) + weights @ within
        alpha = 1 - observed / (2 * squares / (total - 1))
    return {
        "icc": icc,
        "icc_mean": spearman_brown(icc, harmonic),
        "alpha": alpha,
        "floor_mse": noise / harmonic,
    }


def _spread(weights: Floats, count: Floats, mean: Floats) -> Floats:
    """Sum of squares of the means of pairs, each `count` times, about their mean. (R,)"""
    centered = mean - np.average(mean, weights=np.maximum(count, 1e-9))
    total = weights @ count
    squares: Floats = weights @ (count * centered**2) - (weights @ (count * centered)) ** 2 / total
    return squares


def split_half(ratings: pd.DataFrame, correlation: Correlation, *, seed: int) -> float:
    """Reliability of the mean rating: the correlation of two random halves of each pair's raters.

    Averaged over many random splits, extrapolated to all raters (Spearman-Brown). Pairs with one
    rating are left out.
    """
    pair, score = pairs_and_scores(ratings)
    one = np.ones((1, int(pair.max()) + 1))
    value = float(split_half_draws(pair, score, one, correlation, seed=seed)[0])
    if np.isnan(value):
        raise ReliabilityError("halves of the raters cannot be correlated: one of them is constant")
    return value


def split_half_draws(
    pair: Codes,
    score: Floats,
    weights: Floats,
    correlation: Correlation,
    *,
    seed: int,
    splits: int = MAX_SPLITS,
) -> Floats:
    """`split_half` under weights (R, P), from so many splits at most; NaN where undefined. (R,)"""
    count = np.bincount(pair).astype(np.float64)
    rows = np.concatenate([np.flatnonzero(count == k) for k in np.unique(count) if k > 1])
    mine = np.ascontiguousarray(weights[:, rows].T, dtype=np.float64)  # (P, R)
    blocks = np.array_split(mine, -(-mine.size // resampling.BLOCK_WEIGHTS), axis=1)
    correlations = []
    for halves in islice(random_halves(pair, score, np.random.default_rng(seed)), splits):
        under = correlation(*halves)
        correlations.append(np.concatenate([under(block)[:, 0] for block in blocks]))
    with np.errstate(divide="ignore", invalid="ignore"):  # resamples may lack all these pairs
        harmonic = weights.sum(axis=1) / (weights @ (1 / count))
        factor = harmonic * ((1 / (count[rows] // 2)) @ mine) / mine.sum(axis=0)
    return spearman_brown(np.mean(correlations, axis=0), factor)


def noise_ceiling(ratings: pd.DataFrame, *, seed: int) -> Ceiling:
    """The ceiling of the correlations and the floor of the error, for the ratings of one split.

    LCC by the ICC of the mean; SRCC by split halves with rank correlation, for which the
    attenuation formula nearly holds. For tau no such formula holds: it follows from the SRCC by
    their values for a bivariate normal with correlation r, SRCC = 6/pi asin(r/2) and tau = 2/pi
    asin(r) (Kendall and Gibbons 1990, ch. 10), on any scale, since both are of ranks. LCC and MSE
    hold for any truth. Where the truth piles up at an end of the scale the rank ceilings are too
    high: for 10 x Beta(1.3, 0.5), which is like XACLE, SRCC by .03 to .05 and KTAU by .025 to .04;
    for a U shape by .015 and .03 (benchmarks/ceiling.md). `noise_ceiling.ceiling_range` adds the
    estimate that holds there. Raises ReliabilityError if raters agree no better than by chance.
    """
    pair, score = pairs_and_scores(ratings)
    values = coefficients(pair, score, np.ones((1, int(pair.max()) + 1)))
    by_rank, by_icc = split_half(ratings, rank, seed=seed), float(values["icc_mean"][0])
    if min(by_rank, by_icc) <= 0:
        raise ReliabilityError("raters agree no better than by chance: there is no noise ceiling")
    srcc = by_rank**0.5
    return Ceiling(
        srcc=srcc,
        lcc=by_icc**0.5,
        ktau=float(tau_of_srcc(srcc)),
        mse=float(values["floor_mse"][0]),
    )


def tau_of_srcc(srcc: Floats | float) -> Floats:
    """Kendall's tau of a bivariate normal with this SRCC."""
    return np.asarray(2 / np.pi * np.arcsin(np.minimum(2 * np.sin(np.pi / 6 * srcc), 1.0)))


def random_halves(
    pair: Codes, score: Floats, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """The mean ratings of two random halves of each pair's raters, for every split. 2 x (P,)

    Pairs by rising number of ratings, those with one left out.
    """
    score = score[np.argsort(pair, kind="stable")]
    count = np.bincount(pair)  # (P,)
    start = np.cumsum(count) - count
    blocks = [
        score[start[count == k, None] + np.arange(k)]  # (pairs with k ratings, k)
        for k in np.unique(count)
        if k > 1
    ]
    for _ in range(min(MAX_SPLITS, max(MIN_SPLITS, SHUFFLED_RATINGS // len(score)))):
        first, second = [], []
        for block in blocks:
            shuffled, half = rng.permuted(block, axis=1), block.shape[1] // 2
            first.append(shuffled[:, :half].mean(axis=1))
            second.append(shuffled[:, half : 2 * half].mean(axis=1))
        yield np.concatenate(first), np.concatenate(second)


def pairs_and_scores(ratings: pd.DataFrame) -> tuple[Codes, Floats]:
    """The pair's code and the score of each rating. Raises ReliabilityError if they are too few."""
    pair = rating_arrays.pair_codes(ratings)
    if len(pair) == 0 or pair.max() == 0 or np.bincount(pair).max() < 2:
        raise ReliabilityError("agreement needs at least two pairs, and two ratings of one pair")
    return pair, ratings["score"].to_numpy(dtype=np.float64)


def spearman_brown(reliability: Floats, factor: Floats) -> Floats:
    """The reliability with `factor` times as many ratings; one of 0 or less stays."""
    positive = np.maximum(reliability, 0)
    return np.where(positive > 0, factor * positive / (1 + (factor - 1) * positive), reliability)
