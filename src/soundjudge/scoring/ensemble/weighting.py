"""Weights of members: methods from standardized scores and ratings to a vote per member.

No method gives a negative weight: a judge must not fall where a member's score rises.
N = pairs, K = members.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError

Values = NDArray[np.float64]

GREEDY_STEPS = 30  # votes that greedy selection gives at most
RIDGE_PENALTIES = np.logspace(-3, 3, 13)  # per pair


def mean_weights(standardized: Values, rating: Values, kinds: Sequence[str]) -> Values:
    """Every member has the same weight."""
    return np.ones(standardized.shape[1])


def kind_weights(standardized: Values, rating: Values, kinds: Sequence[str]) -> Values:
    """Every kind has the same weight, shared by its members: near-clones vote once."""
    return np.array([1 / list(kinds).count(kind) for kind in kinds])


def nnls_weights(standardized: Values, rating: Values, kinds: Sequence[str]) -> Values:
    """Non-negative least squares (Lawson and Hanson 1974; stacking: Breiman 1996)."""
    weights: Values = scipy.optimize.nnls(standardized, rating - rating.mean())[0]
    return weights


def ridge_weights(standardized: Values, rating: Values, kinds: Sequence[str]) -> Values:
    """Ridge stacking (Hoerl and Kennard 1970; Breiman 1996), bounded at 0.

    The penalty has the least error over left-out pairs of the unbounded regression (generalized
    cross-validation in closed form); the bounded one is non-negative least squares on the data with
    sqrt(penalty) times the identity below them.
    """
    from sklearn.linear_model import RidgeCV

    target, members = rating - rating.mean(), standardized.shape[1]
    ridge = RidgeCV(alphas=RIDGE_PENALTIES * len(rating), fit_intercept=False)
    penalty = ridge.fit(standardized, target).alpha_
    rows = np.concatenate([standardized, np.sqrt(penalty) * np.eye(members)])  # (N+K, K)
    weights: Values = scipy.optimize.nnls(rows, np.concatenate([target, np.zeros(members)]))[0]
    return weights


def greedy_weights(standardized: Values, rating: Values, kinds: Sequence[str]) -> Values:
    """Greedy selection with replacement (Caruana et al. 2004, "Ensemble selection", section 2.1).

    Each step adds the member with which the mean has the highest SRCC; the best step counts.
    """
    target = _centered_ranks(rating[:, None])[:, 0]
    total = np.zeros(len(rating))
    votes = np.zeros(standardized.shape[1])
    best, best_votes = -np.inf, votes
    for _ in range(GREEDY_STEPS):
        ranks = _centered_ranks(total[:, None] + standardized)  # (N, K)
        spread = np.sqrt((ranks**2).sum(axis=0) * (target**2).sum())
        agreement = np.divide(target @ ranks, spread, out=np.zeros(len(votes)), where=spread > 0)
        member = int(agreement.argmax())
        total = total + standardized[:, member]
        votes = votes.copy()
        votes[member] += 1
        if agreement[member] > best:
            best, best_votes = float(agreement[member]), votes
    return best_votes if best > 0 else np.zeros(len(votes))


def best_weights(standardized: Values, rating: Values, kinds: Sequence[str]) -> Values:
    """The member with the highest SRCC alone."""
    ranks, target = _centered_ranks(standardized), _centered_ranks(rating[:, None])[:, 0]
    agreement = target @ ranks / np.sqrt((ranks**2).sum(axis=0))
    weights = np.zeros(standardized.shape[1])
    if agreement.max() > 0:
        weights[agreement.argmax()] = 1
    return weights


METHODS: dict[str, Callable[[Values, Values, Sequence[str]], Values]] = {
    "mean": mean_weights,
    "kinds": kind_weights,
    "nnls": nnls_weights,
    "ridge": ridge_weights,
    "greedy": greedy_weights,
    "best": best_weights,
}


def fit_weights(method: str, standardized: Values, rating: Values, kinds: Sequence[str]) -> Values:
    """Weights (K,), none below 0 and of sum 1, of standardized scores (N, K) for ratings (N,).

    `kinds` (K,) are the members' kinds. Raises SoundjudgeError where no member rises with ratings.
    """
    weights = METHODS[method](standardized, rating, kinds)
    if weights.sum() == 0:
        raise SoundjudgeError("no member's scores rise with the ratings on validation")
    normalized: Values = weights / weights.sum()
    return normalized


def _centered_ranks(columns: Values) -> Values:
    ranks = scipy.stats.rankdata(columns, axis=0)
    centered: Values = ranks - ranks.mean(axis=0)
    return centered
