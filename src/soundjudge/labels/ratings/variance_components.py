"""How much of the spread of ratings comes from pairs, from listeners and from neither.

N = ratings, P = pairs, L = listeners.
"""

from dataclasses import dataclass

import numpy as np

from soundjudge.labels.ratings.rating_arrays import RatingArrays, group_counts, group_sums


@dataclass(frozen=True, kw_only=True)
class Components:
    """Variances in squared rating points; as estimates of small ones they may be negative."""

    pair: float
    listener: float
    residual: float


def estimate_components(ratings: RatingArrays) -> Components:
    """The variances of pair, listener and residual in score = mean + pair + listener + residual.

    Henderson 1953 (Biometrics 9, 226-252), method 1: the sums of squares of a two-way table with
    empty cells are set equal to their expectations, which are linear in the three variances. For
    listeners that rate no pair twice. Variances that the design cannot tell apart (every listener
    with one rating: listener and residual) share what they have together equally.
    """
    total, pairs, listeners = len(ratings.score), ratings.pairs, ratings.listeners
    score = ratings.score - ratings.score.mean(dtype=np.float64)
    of_pair, of_listener = (
        group_counts(ratings.pair, pairs),
        group_counts(ratings.listener, listeners),
    )
    between_pairs = np.sum(group_sums(ratings.pair, score, pairs) ** 2 / np.maximum(of_pair, 1))
    between_listeners = np.sum(
        group_sums(ratings.listener, score, listeners) ** 2 / np.maximum(of_listener, 1)
    )
    observed = np.array(
        [between_pairs, between_listeners, np.sum(score**2)]
    )  # the mean took its own
    p, q = np.count_nonzero(of_pair), np.count_nonzero(of_listener)
    expected = np.array([[total, p, p], [q, total, q], [total, total, total]], dtype=np.float64)
    of_mean = [np.sum(of_pair**2) / total, np.sum(of_listener**2) / total, 1.0]
    found = np.linalg.lstsq((expected - of_mean) / total, observed / total, rcond=1e-10)[0]
    return Components(pair=float(found[0]), listener=float(found[1]), residual=float(found[2]))
