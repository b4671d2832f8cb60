"""The agreement of listeners with intervals over pairs: every coefficient in resamples of pairs.

N = ratings, P = pairs, R = resamples, k = ratings of a pair.
"""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice

import numpy as np
import pandas as pd

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import noise_ceiling, reliability
from soundjudge.labels.ratings.rating_arrays import Codes, Floats
from soundjudge.reporting import metrics, resampling

CONFIDENCE = 0.95


def agreement_intervals(
    ratings: pd.DataFrame, *, resamples: int, seed: int, confidence: float = CONFIDENCE
) -> dict[str, float | str]:
    """icc, icc_mean, alpha, split_half; ceiling_{srcc,lcc,ktau}, floor_mse, and those _deconvolved.

    Each with _lo and _hi, where resamples define it. The intervals hold for other pairs rated by
    the same listeners; those of the ceilings do not hold their bias: the two estimates are their
    range. Ceilings are left out where raters agree no better than by chance, intervals of fewer
    pairs than `resampling.MIN_PAIRS`; no_ceiling and no_intervals then say why. Raises
    ReliabilityError if there is nothing to agree on.
    """
    pair, score = reliability.pairs_and_scores(ratings)
    pairs = int(pair.max()) + 1
    blocks = resampling.resample_weights(pairs, resamples, seed=seed)
    weights = np.concatenate([*blocks]).astype(np.float64)  # (R, P)
    values: dict[str, float] = asdict(reliability.agreement(ratings))
    draws = coefficient_draws(pair, score, weights)
    values["split_half"] = reliability.split_half(ratings, metrics.lcc, seed=seed)
    draws["split_half"] = _split_half_draws(pair, score, weights, seed, values["split_half"])
    reasons: dict[str, str] = {}
    try:
        ceilings = noise_ceiling.ceiling_range(ratings, weights, seed=seed)
        for name, value, column in ceilings.numbers():
            values[name], draws[name] = value, column
    except ReliabilityError as error:
        reasons["no_ceiling"] = str(error)
    if reason := resampling.too_few_pairs(pairs):
        return {**values, **reasons, "no_intervals": reason}
    return {**_with_intervals(values, draws, confidence), **reasons}


def _with_intervals(
    values: Mapping[str, float], draws: Mapping[str, Floats], confidence: float
) -> dict[str, float]:
    result: dict[str, float] = {}
    for name, value in values.items():
        result[name] = value
        if np.isfinite(draws[name]).any():
            low, high = resampling.interval(draws[name], confidence)
            result |= {f"{name}_lo": low, f"{name}_hi": high}
    return result


def coefficient_draws(pair: Codes, score: Floats, weights: Floats) -> dict[str, Floats]:
    """icc, icc_mean and alpha (R,) where pairs occur `weights` (R, P); NaN where undefined.

    The formulas are those of `reliability`, of sums over pairs.
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
        harmonic = pairs / (weights @ (1 / count))
        icc_mean = harmonic * icc / (1 + (harmonic - 1) * icc)
        several = np.where(count > 1, count, 0.0)  # alpha leaves pairs with one rating out
        total = weights @ several
        observed = weights @ (2 * several / np.maximum(count - 1, 1) * within) / total
        squares = _spread(weights, several, mean) + weights @ within
        alpha = 1 - observed / (2 * squares / (total - 1))
    return {"icc": icc, "icc_mean": np.where(icc > 0, icc_mean, icc), "alpha": alpha}


def _spread(weights: Floats, count: Floats, mean: Floats) -> Floats:
    """Sum of squares of the means of pairs, each `count` times, about their mean. (R,)"""
    centered = mean - np.average(mean, weights=np.maximum(count, 1e-9))
    total = weights @ count
    squares: Floats = weights @ (count * centered**2) - (weights @ (count * centered)) ** 2 / total
    return squares


def _split_half_draws(
    pair: Codes, score: Floats, weights: Floats, seed: int, value: float
) -> Floats:
    """Split-half reliability (R,) from a few halves, shifted so that all pairs give `value`."""
    count = np.bincount(pair).astype(np.float64)
    rows = np.concatenate([np.flatnonzero(count == k) for k in np.unique(count) if k > 1])
    half = count[rows] // 2
    every = np.concatenate([np.ones((1, len(count))), weights])  # (1 + R, P)
    mine = every[:, rows]
    correlations = []
    for first, second in islice(
        reliability.random_halves(pair, score, np.random.default_rng(seed)), noise_ceiling.SPLITS
    ):
        x, y = first - first.mean(), second - second.mean()
        sums = [mine @ v / mine.sum(axis=1) for v in (x, y, x * x, y * y, x * y)]
        product = (sums[2] - sums[0] ** 2) * (sums[3] - sums[1] ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            correlations.append((sums[4] - sums[0] * sums[1]) / np.sqrt(product))
    mean = np.mean(correlations, axis=0)
    harmonic = every.sum(axis=1) / (every @ (1 / count))
    factor = harmonic * (mine @ (1 / half)) / mine.sum(axis=1)
    draws = mean.copy()
    np.divide(factor * mean, 1 + (factor - 1) * mean, out=draws, where=mean > 0)
    shifted: Floats = draws[1:] + (value - draws[0])
    return shifted
