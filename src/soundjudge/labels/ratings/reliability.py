"""The agreement of listeners, and the best correlation that any judge can have with their mean.

The mean of k ratings is the pair's true value plus noise, so even the truth correlates with it by
no more than sqrt(reliability of the mean): the noise ceiling (Spearman 1904).

N = ratings, P = pairs, k = ratings of a pair (it may differ between pairs).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import asin, pi, sin

import numpy as np
import pandas as pd

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.rating_arrays import Codes, Floats
from soundjudge.reporting import metrics

# Random splits in halves to average over: their spread is then far below that of the pairs. With
# very many ratings fewer splits are enough.
MAX_SPLITS, MIN_SPLITS, SHUFFLED_RATINGS = 100, 4, 10_000_000


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The agreement of the raters of a table; 1 = perfect, 0 = by chance."""

    icc: float  # of a single rating
    icc_mean: float  # of the mean rating
    alpha: float  # Krippendorff, interval


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The metrics of the true value of every pair against the mean rating."""

    srcc: float
    lcc: float
    ktau: float
    mse: float  # the floor: the noise of the mean rating, in squared points


def agreement(ratings: pd.DataFrame) -> Agreement:
    """ICC and alpha of a RATINGS table (one split)."""
    single = icc(ratings)
    factor = _harmonic_count(rating_arrays.pair_codes(ratings))
    return Agreement(icc=single, icc_mean=spearman_brown(single, factor), alpha=alpha(ratings))


def icc(ratings: pd.DataFrame) -> float:
    """ICC(1,1) of Shrout and Fleiss 1979: one-way random effects, pairs of unequal k allowed."""
    pair, score = pairs_and_scores(ratings)
    count = np.bincount(pair).astype(np.float64)  # (P,)
    between, within = _sums_of_squares(pair, score)
    pairs, total = len(count), len(score)
    mean_between = between / (pairs - 1)
    mean_within = within / (total - pairs)
    typical = (total - float(np.sum(count**2)) / total) / (pairs - 1)
    spread = mean_between + (typical - 1) * mean_within
    if spread <= 0:
        raise ReliabilityError("all ratings are equal: agreement cannot be measured")
    return (mean_between - mean_within) / spread


def alpha(ratings: pd.DataFrame) -> float:
    """Krippendorff's alpha for interval data, without pairs with one rating."""
    pair, score = pairs_and_scores(ratings)
    several = np.bincount(pair)[pair] > 1
    pair, score = pair[several], score[several]
    count = np.bincount(pair)[pair]  # (N,)
    mean = (np.bincount(pair, weights=score) / np.maximum(np.bincount(pair), 1))[pair]
    total = len(score)
    observed = float(np.sum(2 * count / (count - 1) * (score - mean) ** 2)) / total
    expected = 2 * float(np.sum((score - score.mean()) ** 2)) / (total - 1)
    if expected == 0:
        raise ReliabilityError("all ratings are equal: agreement cannot be measured")
    return 1 - observed / expected


def split_half(
    ratings: pd.DataFrame, correlation: Callable[[Floats, Floats], float], *, seed: int
) -> float:
    """Reliability of the mean rating: the correlation of two random halves of each pair's raters.

    Averaged over many random splits, extrapolated to all raters (Spearman-Brown). Pairs with one
    rating are left out.
    """
    pair, score = pairs_and_scores(ratings)
    half = np.bincount(pair) // 2
    half = half[half > 0]
    correlations = []
    for first, second in random_halves(pair, score, np.random.default_rng(seed)):
        try:
            correlations.append(correlation(first, second))
        except ValueError as error:
            raise ReliabilityError(f"halves of the raters cannot be correlated: {error}") from error
    factor = _harmonic_count(pair) / (len(half) / float(np.sum(1 / half)))
    return spearman_brown(float(np.mean(correlations)), factor)


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
    rank = split_half(ratings, metrics.srcc, seed=seed)
    linear = spearman_brown(icc(ratings), _harmonic_count(pair))
    if min(rank, linear) <= 0:
        raise ReliabilityError("raters agree no better than by chance: there is no noise ceiling")
    _, within = _sums_of_squares(pair, score)
    noise = within / (len(score) - int(pair.max()) - 1)  # variance of one rating about its pair
    return Ceiling(
        srcc=rank**0.5,
        lcc=linear**0.5,
        ktau=tau_of_srcc(rank**0.5),
        mse=noise / _harmonic_count(pair),
    )


def tau_of_srcc(srcc: float) -> float:
    """Kendall's tau of a bivariate normal with this SRCC."""
    return 2 / pi * asin(min(2 * sin(pi / 6 * srcc), 1.0))


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


def _sums_of_squares(pair: Codes, score: Floats) -> tuple[float, float]:
    """Between and within pairs."""
    mean = (np.bincount(pair, weights=score) / np.bincount(pair))[pair]  # (N,)
    return float(np.sum((mean - score.mean()) ** 2)), float(np.sum((score - mean) ** 2))


def _harmonic_count(pair: Codes) -> float:
    # A mean's noise is proportional to 1/k: its average is that of the harmonic mean of k.
    count = np.bincount(pair)
    return len(count) / float(np.sum(1 / count))


def spearman_brown(reliability: float, factor: float) -> float:
    """The reliability with `factor` times as many ratings; one of 0 or less stays."""
    if reliability <= 0:
        return reliability
    return factor * reliability / (1 + (factor - 1) * reliability)
