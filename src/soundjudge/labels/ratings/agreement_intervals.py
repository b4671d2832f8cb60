"""The agreement of listeners with intervals over pairs: every coefficient in resamples of pairs.

N = ratings, P = pairs, R = resamples, k = ratings of a pair.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import noise_ceiling, reliability
from soundjudge.labels.ratings.rating_arrays import Floats
from soundjudge.reporting import resampling

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
    values = reliability.agreement(ratings)
    draws = reliability.coefficients(pair, score, weights)
    values["split_half"] = reliability.split_half(ratings, reliability.linear, seed=seed)
    every = np.concatenate([np.ones((1, pairs)), weights])
    halves = reliability.split_half_draws(
        pair, score, every, reliability.linear, seed=seed, splits=noise_ceiling.SPLITS
    )
    # The first draw is of the ratings as they are: fewer halves than in the value shift it.
    draws["split_half"] = halves[1:] + (values["split_half"] - halves[0])
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
            low, high = resampling.interval(draws[name], confidence, value)
            result |= {f"{name}_lo": low, f"{name}_hi": high}
    return result
