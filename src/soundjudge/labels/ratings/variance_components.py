"""The variance of ratings that comes from pairs, from listeners and from neither.

And mean ratings drawn by it towards the mean of all pairs where ratings are few.

N = ratings, P = pairs, L = listeners.
"""

from dataclasses import dataclass

import numpy as np

from soundjudge.labels.ratings.rating_arrays import (
    Floats,
    RatingArrays,
    group_counts,
    group_means,
    group_sums,
)

MIN_SHARE = 1e-6  # of the variance of ratings that pairs may have, so that a shrunken mean varies


@dataclass(frozen=True, kw_only=True)
class Components:
    """Variances in squared rating points; estimates of small ones may be negative."""

    pair: float
    listener: float
    residual: float


def estimate_components(ratings: RatingArrays) -> Components:
    """The variances of pair, listener and residual in score = mean + pair + listener + residual.

    Henderson 1953 (Biometrics 9, 226-252), method 1: the sums of squares of a two-way table with
    empty cells are set equal to their expectations, which are linear in the three variances. For
    listeners that rate no pair twice. Variances that the design cannot separate (every listener
    with one rating: listener and residual) get equal shares of their sum.
    """
    score = ratings.score - ratings.score.mean(dtype=np.float64)
    pair_counts = group_counts(ratings.pair, ratings.num_pairs)
    listener_counts = group_counts(ratings.listener, ratings.num_listeners)
    pair_sums = group_sums(ratings.pair, score, ratings.num_pairs)
    listener_sums = group_sums(ratings.listener, score, ratings.num_listeners)
    observed = np.array(
        [
            np.sum(pair_sums**2 / np.maximum(pair_counts, 1)),
            np.sum(listener_sums**2 / np.maximum(listener_counts, 1)),
            np.sum(score**2),
        ]
    )
    total = len(score)
    p, q = np.count_nonzero(pair_counts), np.count_nonzero(listener_counts)
    expected = np.array([[total, p, p], [q, total, q], [total, total, total]], dtype=np.float64)
    of_mean = [np.sum(pair_counts**2) / total, np.sum(listener_counts**2) / total, 1.0]
    variances = np.linalg.lstsq((expected - of_mean) / total, observed / total, rcond=1e-10)[0]
    pair, listener, residual = variances.tolist()
    return Components(pair=pair, listener=listener, residual=residual)


def shrunken_means(ratings: RatingArrays) -> Floats:
    """Kelley's estimate of a true score (1947) from n ratings and the noise of one: points. (P,)

    As if by noise / pair variance more ratings that equal the mean of all pairs; every pair has
    ratings. It is the latent score of listeners without bias, scale and noise of their own.
    """
    count = group_counts(ratings.pair, ratings.num_pairs)
    mean = group_means(ratings.pair, ratings.score, ratings.num_pairs)
    parts = estimate_components(ratings)
    noise = max(parts.listener, 0.0) + max(parts.residual, 0.0)
    spread = max(parts.pair, MIN_SHARE * noise)
    strength = noise / spread if spread > 0 else 0.0
    scores: Floats = (count * mean + strength * mean.mean()) / (count + strength)
    return scores
