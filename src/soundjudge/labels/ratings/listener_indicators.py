"""Each listener's agreement with the others, in figures for people.

N = ratings, L = listeners.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data.tables.schema import Table
from soundjudge.labels.ratings import carelessness, rating_arrays, screening
from soundjudge.labels.ratings.config import Screening
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays

LISTENERS = Table(
    name="screened listeners",
    columns={
        "listener_id": "str",
        "split": "str",
        "ratings": "int",
        "isolated": "float",  # share of ratings that no other rating of the pair comes near
        "correlation": "float",  # with the others' means; empty where it is not defined
        "shrunken_correlation": "float",  # the same, shrunken towards the panel's
        "straightlining": "bool",  # all ratings equal
        "careless": "float",  # probability
        "verdict": "str",  # kept, careless or straightlining
    },
    key=("listener_id", "split"),
    nullable=("correlation",),
)
MAX_CORRELATION = 0.999  # Fisher's z of 1 is infinite


def listener_indicators(ratings: pd.DataFrame, rules: Screening) -> pd.DataFrame:
    """A LISTENERS table: every listener of every split, splits in order of appearance.

    The probability of carelessness is that of method listener; the verdict is that of `rules`.
    """
    parts = []
    for split in dict.fromkeys(ratings["split"]):
        arrays = rating_arrays.rating_arrays(ratings[ratings["split"] == split])
        probability = carelessness.careless_probabilities(arrays)
        reason = np.full(arrays.num_listeners, screening.KEPT)
        if split in rules.splits and rules.method in ("listener", "both"):
            reason = screening.exclusion_reasons(arrays, probability, rules)
        table = _table(arrays, rules.tolerance, split)
        table["careless"] = probability
        table["verdict"] = np.array(screening.REASONS, dtype=object)[reason]
        parts.append(table[table["ratings"] > 0].sort_values("listener_id"))
    return pd.concat(parts, ignore_index=True)


def _table(ratings: RatingArrays, tolerance: float, split: str) -> pd.DataFrame:
    listener, size = ratings.listener, ratings.num_listeners
    isolated = ~screening.is_confirmed(ratings, tolerance)
    raw, shrunken = listener_correlations(ratings)
    columns = {
        "listener_id": ratings.listener_ids,
        "split": split,
        "ratings": rating_arrays.group_counts(listener, size).astype(np.int64),
        "isolated": rating_arrays.group_means(listener, isolated, size),
        "correlation": raw,
        "shrunken_correlation": shrunken,
        "straightlining": rating_arrays.group_is_constant(listener, ratings.score, size),
    }
    return pd.DataFrame(columns)


def leave_one_out_means(ratings: RatingArrays) -> tuple[Floats, NDArray[np.bool_]]:
    """The mean of the other ratings of each rating's pair, and whether there are any. 2 x (N,)"""
    pair, pairs = ratings.pair, ratings.num_pairs
    count = rating_arrays.group_counts(pair, pairs)[pair]
    total = rating_arrays.group_sums(pair, ratings.score, pairs)[pair]
    return (total - ratings.score) / np.maximum(count - 1, 1), count > 1


def listener_correlations(ratings: RatingArrays) -> tuple[Floats, Floats]:
    """Pearson's r of each listener's ratings with the others' means, raw and shrunken. 2 x (L,)

    Raw is NaN where it is not defined: fewer than two pairs that others rated, or all ratings or
    means equal. Fisher's z = artanh r has variance 1 / (n - 3) about the listener's true z; the
    true ones are N(zeta, t2) over the panel, t2 by the moments of DerSimonian and Laird (1986), and
    the shrunken r is tanh of the posterior mean of z: of zeta for listeners with fewer than 4
    ratings.
    """
    mean, compared = leave_one_out_means(ratings)
    ratings, others = ratings.where(compared), mean[compared]
    listener, size = ratings.listener, ratings.num_listeners
    count = rating_arrays.group_counts(listener, size)
    own = ratings.score - rating_arrays.group_means(listener, ratings.score, size)[listener]
    others = others - rating_arrays.group_means(listener, others, size)[listener]
    own_squares = rating_arrays.group_sums(listener, own**2, size)
    squares = own_squares * rating_arrays.group_sums(listener, others**2, size)
    products = rating_arrays.group_sums(listener, own * others, size)
    raw = np.full(size, np.nan)
    defined = squares > 1e-18 * count**2
    raw[defined] = products[defined] / np.sqrt(squares[defined])
    return raw, _shrink(np.clip(raw, -MAX_CORRELATION, MAX_CORRELATION), count)


def _shrink(raw: Floats, count: Floats) -> Floats:
    usable = ~np.isnan(raw) & (count > 3)
    if not usable.any():
        return np.zeros(len(raw))
    z = np.arctanh(raw[usable])
    weight = count[usable] - 3
    mean = float(np.average(z, weights=weight))
    excess = float(np.sum(weight * (z - mean) ** 2)) - (len(z) - 1)
    spread = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max(excess / spread, 0.0) if spread > 0 else 0.0
    center = float(np.average(z, weights=1 / (between + 1 / weight)))
    posterior = np.full(len(raw), center)
    reliability = between / (between + 1 / weight)
    posterior[usable] = reliability * z + (1 - reliability) * center
    result: Floats = np.tanh(posterior)
    return result
