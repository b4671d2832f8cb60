"""The noise ceiling as a range: two estimates, each with its draws over resampled pairs.

The classical one (`reliability`) is too high where the truth piles up at an end of the scale; the
deconvolved one (`deconvolution`) is too low where many pairs are truly equal. The intervals are of
the pairs alone and hold no such bias: the two estimates are the range.

N = ratings, P = pairs, R = resamples.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

import numpy as np
import pandas as pd

from soundjudge.labels.ratings import deconvolution, reliability
from soundjudge.labels.ratings.rating_arrays import Codes, Floats
from soundjudge.labels.ratings.reliability import Ceiling

METRICS = tuple(field.name for field in fields(Ceiling))
SPLITS = 10  # of halves for the draws: they vary with the pairs, far less with the halves


@dataclass(frozen=True, kw_only=True)
class CeilingRange:
    """Both estimates of a split's ceiling; draws (R, 4) in the order of METRICS, NaN if none."""

    classical: Ceiling
    deconvolved: Ceiling
    classical_draws: Floats
    deconvolved_draws: Floats

    def numbers(self) -> Iterator[tuple[str, float, Floats]]:
        """ceiling_{srcc,lcc,ktau}, floor_mse, and those _deconvolved: value and draws (R,)."""
        for suffix, ceiling, draws in (
            ("", self.classical, self.classical_draws),
            ("_deconvolved", self.deconvolved, self.deconvolved_draws),
        ):
            for metric, value, column in zip(METRICS, astuple(ceiling), draws.T, strict=True):
                yield ("floor_" if metric == "mse" else "ceiling_") + metric + suffix, value, column


def ceiling_range(ratings: pd.DataFrame, weights: Floats, *, seed: int) -> CeilingRange:
    """Both ceilings of the ratings of one split.

    `weights` (R, P) are how often each pair counts in a resample, pairs in order of appearance.
    Raises ReliabilityError if raters agree no better than by chance.
    """
    classical = reliability.noise_ceiling(ratings, seed=seed)
    pair, score = reliability.pairs_and_scores(ratings)
    counts = deconvolution.count_ratings(pair, score)
    truth = deconvolution.fit_truth(counts)
    every = np.concatenate([np.ones((1, weights.shape[1])), weights])
    by_halves = _classical_draws(pair, score, every, seed)
    by_truth = [
        astuple(deconvolution.truth_ceiling(deconvolution.fit_truth(counts, w), counts, w))
        for w in weights
    ]
    # The first draw is of the ratings as they are: fewer halves than in `classical` shift it.
    shift = np.array(astuple(classical)) - by_halves[0]
    return CeilingRange(
        classical=classical,
        deconvolved=deconvolution.truth_ceiling(truth, counts),
        classical_draws=by_halves[1:] + shift,
        deconvolved_draws=np.array(by_truth).reshape(-1, 4),
    )


def _classical_draws(pair: Codes, score: Floats, weights: Floats, seed: int) -> Floats:
    """The classical ceiling under weights (R, P), from a few halves; NaN if by chance. (R, 4)"""
    values = reliability.coefficients(pair, score, weights)
    by_rank = reliability.split_half_draws(
        pair, score, weights, reliability.rank, seed=seed, splits=SPLITS
    )
    srcc, lcc = (np.sqrt(np.maximum(value, 0)) for value in (by_rank, values["icc_mean"]))
    draws = np.stack([srcc, lcc, reliability.tau_of_srcc(srcc), values["floor_mse"]], axis=1)
    draws[~(np.minimum(srcc, lcc) > 0)] = np.nan
    return draws
