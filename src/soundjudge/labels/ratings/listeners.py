"""Listeners on one scale: their statistics, standardized ratings, and one target a pair.

The method is that of SPO-CLAPScore (arXiv 2601.02900), computed as in its published code; pulling
listeners towards the panel (`shrinkage`) is ours.

N = ratings, P = pairs, L = listeners. A pair is a (wav_file_name, text); scores are 0 to 10.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import rating_arrays, shrinkage
from soundjudge.labels.ratings.rating_arrays import PAIR, Floats, RatingArrays
from soundjudge.labels.ratings.shrinkage import Shrinkage, ShrinkagePrior


@dataclass(frozen=True, kw_only=True)
class GlobalStatistics:
    """The scale of a listener of whom nothing is known."""

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class ListenerScales:
    """The scales of a panel of listeners."""

    listeners: pd.DataFrame  # a LISTENERS table
    overall: GlobalStatistics
    pull: ShrinkagePrior | None  # None = as published


def listener_statistics(ratings: pd.DataFrame | RatingArrays) -> pd.DataFrame:
    """Mean and sample std of every listener, as a LISTENERS table sorted by listener.

    The std of a listener with one rating, or with one opinion, is taken as 1.
    """
    numbers = rating_arrays.rating_arrays(ratings)
    found = shrinkage.listener_moments(numbers)
    alike = rating_arrays.group_is_constant(numbers.listener, numbers.score, numbers.listeners)
    std = np.where(alike, 1.0, np.sqrt(found.variance))
    table = pd.DataFrame({"listener_id": numbers.names, "mean": found.mean, "std": std})
    table["ratings"] = found.ratings.astype(np.int64)
    return table[table["ratings"] > 0].sort_values("listener_id", ignore_index=True)


def global_statistics(listeners: pd.DataFrame) -> GlobalStatistics:
    """Mean of the listeners' means, and root of the mean of their variances."""
    if listeners.empty:
        raise SoundjudgeError(
            "there is no training listener: standardization needs training ratings"
        )
    variance = float(np.mean(listeners["std"].to_numpy(dtype=np.float64) ** 2))
    return GlobalStatistics(mean=float(listeners["mean"].mean()), std=variance**0.5)


def listener_scales(ratings: pd.DataFrame | RatingArrays, strength: Shrinkage) -> ListenerScales:
    """Every listener's scale, pulled with this strength, and the global pair.

    The global pair is as published in any case. Only as published is a std of 1 made up for who
    has none: a pulled one is never 0.
    """
    shrinkage.check_strength(strength)
    numbers = rating_arrays.rating_arrays(ratings)
    listeners = listener_statistics(numbers)
    overall = global_statistics(listeners)
    if strength == 0:
        return ListenerScales(listeners=listeners, overall=overall, pull=None)
    rows = pd.Index(numbers.names).get_indexer(pd.Index(listeners["listener_id"]))
    moments = shrinkage.listener_moments(numbers).of(rows)
    if isinstance(strength, str):
        pull = shrinkage.estimate_prior(moments, overall.mean)
    else:
        pull = shrinkage.fixed_prior(strength, mean=overall.mean, variance=overall.std**2)
    mean, variance = shrinkage.shrink(moments, pull)
    listeners = listeners.assign(mean=mean, std=np.sqrt(variance))
    return ListenerScales(listeners=listeners, overall=overall, pull=pull)


def standardize_ratings(
    ratings: pd.DataFrame | RatingArrays, listeners: pd.DataFrame, overall: GlobalStatistics
) -> Floats:
    """(score - mean) / std; a listener not in `listeners` takes the global pair. (N,)"""
    numbers = rating_arrays.rating_arrays(ratings)
    row = pd.Index(listeners["listener_id"]).get_indexer(numbers.names)  # (L,), -1 = unknown
    mean = np.append(listeners["mean"].to_numpy(dtype=np.float64), overall.mean)[row]
    std = np.append(listeners["std"].to_numpy(dtype=np.float64), overall.std)[row]
    result: Floats = (numbers.score - mean[numbers.listener]) / std[numbers.listener]
    return result


def pair_scores(
    ratings: RatingArrays, listeners: pd.DataFrame, overall: GlobalStatistics
) -> pd.DataFrame:
    """mean_score, spo_score and the count of ratings of every pair number. (P rows)"""
    pair, pairs = ratings.pair, ratings.pairs
    spo = rating_arrays.group_means(pair, standardize_ratings(ratings, listeners, overall), pairs)
    return pd.DataFrame(
        {
            "mean_score": rating_arrays.group_means(pair, ratings.score, pairs),
            "spo_score": spo,
            "ratings": rating_arrays.group_counts(pair, pairs).astype(np.int64),
        }
    )


def build_targets(
    ratings: pd.DataFrame, listeners: pd.DataFrame, overall: GlobalStatistics
) -> pd.DataFrame:
    """A TARGETS table without latent scores, pairs in order of first appearance.

    `split` is there if ratings have it.
    """
    numbers = rating_arrays.rating_arrays(ratings)
    first = rating_arrays.first_rows(numbers.pair, numbers.pairs)
    kept = [name for name in (*PAIR, "split") if name in ratings]
    table = ratings[kept].iloc[first].reset_index(drop=True)
    found = pair_scores(numbers, listeners, overall)
    return pd.concat([table[PAIR], found, table.drop(columns=PAIR)], axis=1)
