"""Intervals that hold the chance of a training and that of the pairs it is tested on.

N = pairs, S = seeds, R = resamples.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from soundjudge.reporting import resampling
from soundjudge.reporting.resampling import Estimate

Values = NDArray[np.float64]
RESAMPLES = 2000


def srcc_draws(scores: Sequence[Values], truth: Values) -> Values:
    """SRCC of each column of scores (N,) with the truth (N,), by resamples of pairs: (R, columns).

    Resamples are the same in each call with as many pairs.
    """
    ranked = [resampling.rank_column(column) for column in scores]
    reference = resampling.rank_column(truth)
    blocks = resampling.resample_weights(len(truth), RESAMPLES, seed=0)
    return np.concatenate(
        [resampling.weighted_srcc(ranked, reference, block.T.astype(float)) for block in blocks]
    )


def mean_interval(values: Sequence[float], draws: Values) -> Estimate:
    """The mean over seeds of a number (S,) and its 95 % interval over pairs and, from two, seeds.

    `draws` (R, S) are the numbers on resampled pairs. The variance of the mean is that over pairs
    plus that over seeds, s^2 / S; the quantile is Student's, with degrees of freedom by
    Satterthwaite (1946), pairs counted as infinitely many.
    """
    over_pairs = float(draws.mean(axis=1).var(ddof=1))
    over_seeds = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    total = over_pairs + over_seeds
    dof = (len(values) - 1) * (total / over_seeds) ** 2 if over_seeds else math.inf
    half = float(stats.t.ppf(0.975, dof)) * math.sqrt(total)
    center = float(np.mean(values))
    return Estimate(value=center, lo=center - half, hi=center + half)


def cell(values: Sequence[float], draws: Values, sign: str = "") -> str:
    """Mean, standard deviation over seeds and interval, for a table; `sign` "+" for differences."""
    estimate = mean_interval(values, draws)
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{estimate.value:{sign}.3f}{spread} [{estimate.lo:{sign}.3f}, {estimate.hi:{sign}.3f}]"
