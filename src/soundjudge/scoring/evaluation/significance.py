"""Intervals of correlations, and tests between two systems judged on the same pairs.

N = pairs, K = systems, R = resamples, G = groups of pairs with equal values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from soundjudge.errors import SoundjudgeError

# Resamples worked on at a time: bounds memory, and does not change the draws.
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

    A resample is a vector of how often each pair was drawn, so ranks need sorting only once. A
    resample in which a system is constant has no correlation and comes back as NaN.
    """
    count, systems = predictions.shape
    rng = np.random.default_rng(seed)
    found = np.empty((2, resamples, systems))
    columns = [_standard(values) for values in (reference, *predictions.T)]  # (1 + K) x (N,)
    for start in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - start)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
        ranks = [_ranks(values, drawn) for values in columns]
        for k in range(systems):
            rows = slice(start, start + size)
            found[0, rows, k] = _weighted_correlation(ranks[1 + k], ranks[0], drawn)
            found[1, rows, k] = _weighted_correlation(columns[1 + k][None], columns[0][None], drawn)
    return BootstrapDraws(srcc=found[0], lcc=found[1])


def interval(draws: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """The percentile interval of draws (R,); resamples without a correlation are left out."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(_defined(draws), [tail, 1 - tail])
    return float(low), float(high)


def p_value(differences: NDArray[np.float64]) -> float:
    """Two-sided: how easily resampling turns the sign of a difference (R,)."""
    differences = _defined(differences)
    tail = min(int(np.sum(differences <= 0)), int(np.sum(differences >= 0)))
    return min(1.0, 2 * (tail + 1) / (len(differences) + 1))


def williams(a: float, b: float, between: float, count: int) -> float:
    """Two-sided p that two correlations with one reference are equal (Williams 1959).

    `a`, `b`: each system's LCC with the reference; `between`: the systems' LCC with each other.
    Analytic, for normal data: a check on the bootstrap (equation 7 of Steiger 1980).
    """
    if count < 4:
        raise SoundjudgeError(f"Williams' test needs at least 4 pairs: there are {count}")
    determinant = 1 - a**2 - b**2 - between**2 + 2 * a * b * between
    below = 2 * (count - 1) / (count - 3) * determinant + ((a + b) / 2) ** 2 * (1 - between) ** 3
    if below <= 0:
        return 1.0  # the two systems are one
    t = (a - b) * ((count - 1) * (1 + between) / below) ** 0.5
    return float(2 * stats.t.sf(abs(t), count - 3))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for the number of tests, in the given order (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    return [float(p) for p in corrected]


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = np.ptp(values)
    if spread == 0:
        raise SoundjudgeError("a constant vector has no correlation")
    standard: NDArray[np.float64] = (values - values.mean()) / spread
    return standard


def _ranks(values: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean ranks of values (N,) in each resample, `drawn` times each. (R, N)"""
    group = np.unique(values, return_inverse=True)[1]  # (N,)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    in_group = np.add.reduceat(drawn[:, order], starts, axis=1)  # (R, G)
    rank: NDArray[np.float64] = np.cumsum(in_group, axis=1) - (in_group - 1) / 2
    return rank[:, group]


def _weighted_correlation(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pearson correlation of the rows of x and y, (R, N) or (1, N), with weights (R, N). (R,)"""
    total = weight.sum(axis=1, keepdims=True)
    x = x - (weight * x).sum(axis=1, keepdims=True) / total
    y = y - (weight * y).sum(axis=1, keepdims=True) / total
    above = (weight * x * y).sum(axis=1)
    spread = (weight * x**2).sum(axis=1) * (weight * y**2).sum(axis=1)
    varies = spread > 1e-24 * total[:, 0] ** 2  # rounding leaves more than 0 of a constant
    result = np.full(len(weight), np.nan)
    result[varies] = above[varies] / np.sqrt(spread[varies])
    return result


def _defined(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        raise SoundjudgeError("no resample has a correlation: too few or equal values")
    return draws
