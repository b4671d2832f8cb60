"""Bootstrap intervals of correlations, and tests between two systems on the same pairs.

N = pairs, K = systems, R = resamples, G = groups of pairs with equal values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from soundjudge.errors import SoundjudgeError

# Resamples computed at a time: bounds memory, and does not change the draws.
BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class BootstrapDraws:
    """Correlations with the reference in each resample; all systems share the resampled pairs."""

    srcc: NDArray[np.float64]  # (R, K)
    lcc: NDArray[np.float64]  # (R, K)


def bootstrap(
    predictions: NDArray[np.float64],
    reference: NDArray[np.float64],
    *,
    resamples: int,
    seed: int,
) -> BootstrapDraws:
    """Resamples pairs with replacement: predictions (N, K), reference (N,).

    A resample is a weight per pair, how often it was drawn, so ranks need sorting only once. A
    system that is constant in a resample has no correlation there: NaN. Raises SoundjudgeError for
    a vector that is constant altogether.
    """
    pairs, systems = predictions.shape
    rng = np.random.default_rng(seed)
    srcc, lcc = np.empty((2, resamples, systems))
    columns = [_scale_to_unit_range(values) for values in (reference, *predictions.T)]  # each (N,)
    for start in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - start)
        weights = rng.multinomial(pairs, np.full(pairs, 1 / pairs), size=size).astype(np.float64)
        ranks = [_ranks(values, weights) for values in columns]
        rows = slice(start, start + size)
        for k in range(systems):
            srcc[rows, k] = _weighted_correlation(ranks[1 + k], ranks[0], weights)
            lcc[rows, k] = _weighted_correlation(columns[1 + k][None], columns[0][None], weights)
    return BootstrapDraws(srcc=srcc, lcc=lcc)


def interval(draws: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """The percentile interval of draws (R,), NaN left out (Efron and Tibshirani 1993, 13.3)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(_defined(draws), [tail, 1 - tail])
    return float(low), float(high)


def p_value(differences: NDArray[np.float64]) -> float:
    """Two-sided p of a difference (R,): twice the share of resamples that reverse its sign."""
    differences = _defined(differences)
    tail = min(int(np.sum(differences <= 0)), int(np.sum(differences >= 0)))
    return min(1.0, 2 * (tail + 1) / (len(differences) + 1))


def williams(first: float, second: float, between: float, pairs: int) -> float:
    """Two-sided p that two correlations with one reference are equal (Williams 1959).

    `first`, `second`: each system's LCC with the reference; `between`: that of the two systems.
    Analytic, for normal data: a check on the bootstrap (Steiger 1980, equation 7).
    """
    if pairs < 4:
        raise SoundjudgeError(f"Williams' test needs at least 4 pairs: there are {pairs}")
    determinant = 1 - first**2 - second**2 - between**2 + 2 * first * second * between
    mean = (first + second) / 2
    denominator = 2 * (pairs - 1) / (pairs - 3) * determinant + mean**2 * (1 - between) ** 3
    if denominator <= 0:
        return 1.0  # the two systems are the same
    t = (first - second) * ((pairs - 1) * (1 + between) / denominator) ** 0.5
    return float(2 * stats.t.sf(abs(t), pairs - 3))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for the number of tests, in the order of `p_values` (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    return [float(p) for p in corrected]


def _scale_to_unit_range(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = np.ptp(values)
    if spread == 0:
        raise SoundjudgeError("a system's scores or the mean ratings are constant: no correlation")
    scaled: NDArray[np.float64] = (values - values.mean()) / spread
    return scaled


def _ranks(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean ranks (R, N) of values (N,) that each occur `weights` (R, N) times."""
    group = np.unique(values, return_inverse=True)[1]  # (N,)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    in_group = np.add.reduceat(weights[:, order], starts, axis=1)  # (R, G)
    rank: NDArray[np.float64] = np.cumsum(in_group, axis=1) - (in_group - 1) / 2
    return rank[:, group]


def _weighted_correlation(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pearson correlations (R,) of the rows of x and y, (R, N) or (1, N), weights (R, N)."""
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    covariance = (weights * x * y).sum(axis=1)
    spread = (weights * x**2).sum(axis=1) * (weights * y**2).sum(axis=1)
    varies = spread > 1e-24 * total[:, 0] ** 2  # rounding leaves more than 0 of a constant
    result = np.full(len(weights), np.nan)
    result[varies] = covariance[varies] / np.sqrt(spread[varies])
    return result


def _defined(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        raise SoundjudgeError(
            "no resample has a correlation: too few pairs or too many equal values"
        )
    return draws
