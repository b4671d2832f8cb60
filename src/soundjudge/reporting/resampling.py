"""Resamples of pairs as weights, correlations under many weights at once, and many tests at once.

A resample is a count per pair, so values are sorted once and not per resample.
N = pairs, R = resamples of a block, K = columns, G = distinct values of a column.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError

Floats = NDArray[np.float64]

# Weights of a block: its arrays stay in the processor's cache, and memory does not grow with R.
BLOCK_WEIGHTS = 100_000
# Items whose draws are made and counted one by one, which is of the same distribution and several
# times as fast; fewer keep the draws that the numbers of this repository stand on.
MANY = 10_000
# Of an interval: of 4 pairs 29 % of intervals have no width and .71 hold; of 10, none and .98.
MIN_PAIRS = 10


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its interval."""

    value: float
    lo: float
    hi: float


def too_few_pairs(pairs: int) -> str:
    """Why there are no intervals; empty where there are some."""
    return "" if pairs >= MIN_PAIRS else f"{pairs} pairs are too few: give {MIN_PAIRS} or more"


def resample_weights(
    pairs: int, resamples: int, *, seed: int, clusters: Sequence[NDArray[np.int32]] = ()
) -> Iterator[NDArray[np.int64]]:
    """Blocks (R, N) of how often each pair is in a resample.

    Without `clusters` pairs are drawn with replacement. With one column of cluster codes (N,) whole
    clusters are; with two, the weights of both are multiplied (the pigeonhole bootstrap of Owen
    2007, which errs to the wide side). Block sizes do not change the draws.
    """
    size = max(1, BLOCK_WEIGHTS // pairs)
    generators = [np.random.default_rng(seed), np.random.default_rng([seed, 1])]
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        if not clusters:
            yield _draw_counts(generators[0], pairs, rows)
            continue
        weights = np.ones((rows, pairs), dtype=np.int64)
        for codes, rng in zip(clusters, generators[: len(clusters)], strict=True):
            count = int(codes.max()) + 1
            weights *= _draw_counts(rng, count, rows)[:, codes]
        yield weights


def _draw_counts(rng: np.random.Generator, items: int, rows: int) -> NDArray[np.int64]:
    """How often each item comes in as many draws with replacement, (rows, items)."""
    if items <= MANY:
        return rng.multinomial(items, np.full(items, 1 / items), size=rows)
    draws = (rng.integers(items, size=items) for _ in range(rows))
    return np.stack([np.bincount(row, minlength=items) for row in draws])


@dataclass(frozen=True, kw_only=True)
class RankedColumn:
    """The order of a column of values."""

    order: NDArray[np.intp]  # (N,) the rows by rising value
    starts: NDArray[np.intp]  # (G,) where each distinct value begins in `order`
    group: NDArray[np.intp]  # (N,) the number of each row's value


def rank_column(values: Floats) -> RankedColumn:
    """The order of values (N,)."""
    group = np.unique(values, return_inverse=True)[1]
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    return RankedColumn(order=order, starts=starts, group=group)


def weighted_srcc(
    columns: Sequence[RankedColumn], reference: RankedColumn, weights: Floats
) -> Floats:
    """Spearman correlations (R, K) of columns with the reference where rows occur `weights` (N, R).

    NaN where one of them is constant.
    """
    total = weights.sum(axis=0)  # (R,)
    ranks, reference_spread = _ranks(reference, weights, total)
    weighted = weights * ranks[reference.group]
    result = np.full((weights.shape[1], len(columns)), np.nan)
    for k, column in enumerate(columns):
        ranks, spread = _ranks(column, weights, total)
        covariance = np.einsum("nr,nr->r", weighted, ranks[column.group])
        varies = (spread > 0) & (reference_spread > 0)
        result[varies, k] = covariance[varies] / np.sqrt(spread * reference_spread)[varies]
    return result


def _ranks(column: RankedColumn, weights: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Mean ranks about their mean (G, R), and the sums of their squares over all rows (R,)."""
    count = weights[column.order]
    if len(column.starts) < len(count):
        count = np.add.reduceat(count, column.starts, axis=0)  # (G, R)
    ranks = np.cumsum(count, axis=0)
    ranks -= count / 2
    ranks -= total / 2
    # Ranks 1 to T have sum of squares (T^3 - T) / 12, a tie of g takes (g^3 - g) / 12 away.
    spread = (total**3 - np.einsum("nr,nr,nr->r", count, count, count)) / 12
    return ranks, spread


def weighted_lcc(columns: Floats, reference: Floats, weights: Floats) -> Floats:
    """Pearson correlations (R, K) of columns (N, K) with the reference (N,), as `weighted_srcc`."""
    x, y = columns - columns.mean(axis=0), (reference - reference.mean())[:, None]
    moments = (x, np.broadcast_to(y, x.shape), x * x, np.broadcast_to(y * y, x.shape), x * y)
    mx, my, xx, yy, xy = (weighted_means(moment, weights) for moment in moments)
    product = (xx - mx**2) * (yy - my**2)
    result = np.full(product.shape, np.nan)
    varies = product > 0
    result[varies] = (xy - mx * my)[varies] / np.sqrt(product[varies])
    return result


def weighted_means(columns: Floats, weights: Floats) -> Floats:
    """Means (R, K) of columns (N, K) where rows occur `weights` (N, R)."""
    with np.errstate(invalid="ignore"):  # crossed clusters may draw no pair at all: NaN
        means: Floats = (weights.T @ columns) / weights.sum(axis=0)[:, None]
    return means


def tau_terms(prediction: Floats, reference: Floats) -> Floats:
    """Each pair's part in Kendall's tau-b, with all others: (N, 3).

    Concordant minus discordant others, others of another prediction, others of another reference.
    The sums of the columns give tau-b as S / sqrt(D D').
    """
    x, y = (np.unique(v, return_inverse=True)[1] for v in (prediction, reference))
    top_x, top_y = x.max(), y.max()
    concordant = _count_below(x, y) + _count_below(top_x - x, top_y - y)
    discordant = _count_below(x, top_y - y) + _count_below(top_x - x, y)
    untied = [len(v) - np.bincount(v)[v] for v in (x, y)]
    # Columns lie together in memory: their sums, of whole numbers and so exact, take a tenth.
    return np.stack([concordant - discordant, *untied]).astype(np.float64).T


def tau_draws(terms: Floats, weights: Floats) -> Floats:
    """Tau-b (R,) under weights (N, R), to first order in the weights: the terms (N, 3) are fixed.

    The second order is of the size of tau / N; an exact tau would need a sort per resample.
    """
    counts = 2 * len(terms) * weighted_means(terms, weights) - terms.sum(axis=0)  # (R, 3)
    product = counts[:, 1] * counts[:, 2]
    result = np.full(len(counts), np.nan)
    varies = (counts[:, 1] > 0) & (counts[:, 2] > 0)
    result[varies] = np.clip(counts[varies, 0] / np.sqrt(product[varies]), -1, 1)
    return result


def interval(draws: Floats, confidence: float, value: float | None = None) -> tuple[float, float]:
    """The percentile interval of draws (R,), NaN left out (Efron and Tibshirani 1993, 13.3).

    It is extended to `value`, where that is given: estimates that repeated pairs lower or raise,
    such as noise ceilings, may lie outside of their own draws when pairs are few.
    """
    tail = (1 - confidence) / 2
    low, high = map(float, np.quantile(drop_undefined(draws), [tail, 1 - tail]))
    return (low, high) if value is None else (min(low, value), max(high, value))


def drop_undefined(draws: Floats) -> Floats:
    """The draws (R,) that are numbers. Raises SoundjudgeError if there is none."""
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        raise SoundjudgeError(
            "no resample has a correlation: too few pairs or too many equal values"
        )
    return draws


def _count_below(x: NDArray[np.intp], y: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each row the number of rows with smaller x and smaller y; both (N,) whole, 0 or more.

    One bit of y at a time: among the rows that share the higher bits, those with a 0 bit lie below
    those with a 1 bit. Time N log N.
    """
    order = np.lexsort((-y, x))  # of equal x the larger y first, so that none counts another
    value, count = y[order], np.zeros(len(y), dtype=np.intp)
    rows = np.arange(len(y))  # positions in `order`, by the bits so far and then by x
    for bit in range(int(y.max()).bit_length() - 1, -1, -1):
        prefix, is_one = value[rows] >> (bit + 1), (value[rows] >> bit) & 1
        zeros = np.concatenate([[0], np.cumsum(1 - is_one)])  # before each row
        first = np.searchsorted(prefix, prefix)  # of the rows with these higher bits
        count[rows] += is_one * (zeros[:-1] - zeros[first])
        rows = rows[np.lexsort((is_one, prefix))]
    result = np.empty_like(count)
    result[order] = count
    return result


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for the number of tests, in the order of `p_values` (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    return [float(p) for p in corrected]
