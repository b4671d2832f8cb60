"""The noise ceiling as a range: two estimates, each with its draws over resampled pairs.

The classical one (`reliability`) is too high where the truth piles up at an end of the scale; the
deconvolved one (`deconvolution`) is too low where many pairs are truly equal. The intervals are of
the pairs alone and hold no such bias: the two estimates are the range.

N = ratings, P = pairs, R = resamples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from itertools import islice

import numpy as np
import pandas as pd

from soundjudge.labels.ratings import deconvolution, reliability
from soundjudge.labels.ratings.rating_arrays import Codes, Floats
from soundjudge.labels.ratings.reliability import Ceiling, spearman_brown
from soundjudge.reporting import resampling

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


def ceiling_range(ratings: pd.DataFrame, weights: Iterable[Floats], *, seed: int) -> CeilingRange:
    """Both ceilings of the ratings of one split.

    `weights` is a (P,) per resample, how often each pair counts, pairs in order of appearance.
    Raises ReliabilityError if raters agree no better than by chance.
    """
    classical = reliability.noise_ceiling(ratings, seed=seed)
    pair, score = reliability.pairs_and_scores(ratings)
    counts = deconvolution.count_ratings(pair, score)
    truth = deconvolution.fit_truth(counts)
    resamples = list(weights)
    by_halves = np.array([*_classical_draws(pair, score, resamples, seed)]).reshape(-1, 4)
    by_truth = [
        astuple(deconvolution.truth_ceiling(deconvolution.fit_truth(counts, w), counts, w))
        for w in resamples
    ]
    # The first draw is of the ratings as they are: fewer halves than in `classical` shift it.
    shift = np.array(astuple(classical)) - by_halves[0]
    return CeilingRange(
        classical=classical,
        deconvolved=deconvolution.truth_ceiling(truth, counts),
        classical_draws=by_halves[1:] + shift,
        deconvolved_draws=np.array(by_truth).reshape(-1, 4),
    )


def _classical_draws(
    pair: Codes, score: Floats, resamples: Iterable[Floats], seed: int
) -> Iterator[tuple[float, ...]]:
    """The classical ceiling of the pairs as they are, then of each resample, from a few halves."""
    count = np.bincount(pair).astype(np.float64)  # (P,)
    mean = np.bincount(pair, weights=score) / count
    within = np.bincount(pair, weights=(score - mean[pair]) ** 2)
    several = [np.flatnonzero(count == k) for k in np.unique(count) if k > 1]
    in_halves = np.concatenate(several)  # the rows of `random_halves`
    halves = [
        (resampling.rank_column(first), resampling.rank_column(second))
        for first, second in islice(
            reliability.random_halves(pair, score, np.random.default_rng(seed)), SPLITS
        )
    ]
    half = count[in_halves] // 2
    for weight in (np.ones(len(count)), *resamples):
        total, pairs = weight @ count, weight.sum()
        harmonic = pairs / (weight @ (1 / count))
        noise = (weight @ within) / (total - pairs)
        grand = (weight @ (count * mean)) / total
        between = (weight @ (count * (mean - grand) ** 2)) / (pairs - 1)
        typical = (total - (weight @ count**2) / total) / (pairs - 1)
        linear = spearman_brown((between - noise) / (between + (typical - 1) * noise), harmonic)
        of_halves = np.ascontiguousarray(weight[in_halves, None], dtype=np.float64)
        correlation = float(
            np.mean([resampling.weighted_srcc([x], y, of_halves)[0, 0] for x, y in halves])
        )
        factor = harmonic * (of_halves[:, 0] @ (1 / half)) / of_halves.sum()
        rank = spearman_brown(correlation, factor)
        if not min(rank, linear) > 0:
            yield (np.nan,) * len(METRICS)
            continue
        tau = reliability.tau_of_srcc(min(rank, 1.0) ** 0.5)
        yield rank**0.5, float(linear) ** 0.5, tau, float(noise / harmonic)
