"""Listeners on one scale: their statistics, standardized ratings, and one target per pair.

The method is that of SPO-CLAPScore (arXiv 2601.02900), computed as in its published code; the
shrinkage of listeners' statistics towards the panel's (`shrinkage`) is new.

N = ratings, P = pairs, L = listeners. A pair is a (wav_file_name, text); scores are 0 to 10.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from soundjudge.data.tables.target_scale import TargetScale
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import rating_arrays, shrinkage
from soundjudge.labels.ratings.config import Shrinkage, check_shrinkage
from soundjudge.labels.ratings.rating_arrays import PAIR, Floats, RatingArrays
from soundjudge.labels.ratings.shrinkage import ShrinkagePrior


@dataclass(frozen=True, kw_only=True)
class ListenerScales:
    """The scales of a panel of listeners."""

    listeners: pd.DataFrame  # a LISTENERS table
    overall: TargetScale
    prior: ShrinkagePrior | None  # None = as published


def listener_statistics(ratings: pd.DataFrame | RatingArrays) -> pd.DataFrame:
    """Mean and sample std of every listener, as a LISTENERS table sorted by listener.

    The std of a listener whose ratings are all equal, or with one rating, is 1.
    """
    arrays = rating_arrays.rating_arrays(ratings)
    moments = shrinkage.listener_moments(arrays)
    constant = rating_arrays.group_is_constant(arrays.listener, arrays.score, arrays.num_listeners)
    std = np.where(constant, 1.0, np.sqrt(moments.variance))
    table = pd.DataFrame({"listener_id": arrays.listener_ids, "mean": moments.mean, "std": std})
    table["ratings"] = moments.ratings.astype(np.int64)
    return table[table["ratings"] > 0].sort_values("listener_id", ignore_index=True)


def global_statistics(listeners: pd.DataFrame) -> TargetScale:
    """Mean of the listeners' means, and root of the mean of their variances."""
    if listeners.empty:
        raise SoundjudgeError("no training listener: standardization needs training ratings")
    variance = float(np.mean(listeners["std"].to_numpy(dtype=np.float64) ** 2))
    return TargetScale(mean=float(listeners["mean"].mean()), std=variance**0.5)


def listener_scales(ratings: pd.DataFrame | RatingArrays, strength: Shrinkage) -> ListenerScales:
    """Every listener's scale, shrunken with this strength, and the global statistics.

    The global statistics are as published for any strength. Only strength 0 needs the std of 1
    for a listener without one: a shrunken std is never 0.
    """
    check_shrinkage(strength)
    arrays = rating_arrays.rating_arrays(ratings)
    listeners = listener_statistics(arrays)
    overall = global_statistics(listeners)
    if strength == 0:
        return ListenerScales(listeners=listeners, overall=overall, prior=None)
    rows = pd.Index(arrays.listener_ids).get_indexer(pd.Index(listeners["listener_id"]))
    moments = shrinkage.listener_moments(arrays).of(rows)
    if isinstance(strength, str):
        prior = shrinkage.estimate_prior(moments, overall.mean)
    else:
        prior = ShrinkagePrior(
            mean=overall.mean,
            variance=overall.std**2,
            ratings=strength,
            dof=strength,
            kurtosis=0.0,  # as of normal ratings
        )
    mean, variance = shrinkage.shrink(moments, prior)
    listeners = listeners.assign(mean=mean, std=np.sqrt(variance))
    return ListenerScales(listeners=listeners, overall=overall, prior=prior)


def standardize_ratings(
    ratings: pd.DataFrame | RatingArrays, listeners: pd.DataFrame, overall: TargetScale
) -> Floats:
    """(score - mean) / std; a listener not in `listeners` has the global statistics. (N,)"""
    arrays = rating_arrays.rating_arrays(ratings)
    row = pd.Index(listeners["listener_id"]).get_indexer(arrays.listener_ids)  # (L,), -1 = unknown
    mean = np.append(listeners["mean"].to_numpy(dtype=np.float64), overall.mean)[row]
    std = np.append(listeners["std"].to_numpy(dtype=np.float64), overall.std)[row]
    result: Floats = (arrays.score - mean[arrays.listener]) / std[arrays.listener]
    return result


def pair_scores(
    ratings: RatingArrays, listeners: pd.DataFrame, overall: TargetScale
) -> pd.DataFrame:
    """mean_score, spo_score and number of ratings of every pair. (P rows)"""
    pair, pairs = ratings.pair, ratings.num_pairs
    spo = rating_arrays.group_means(pair, standardize_ratings(ratings, listeners, overall), pairs)
    return pd.DataFrame(
        {
            "mean_score": rating_arrays.group_means(pair, ratings.score, pairs),
            "spo_score": spo,
            "ratings": rating_arrays.group_counts(pair, pairs).astype(np.int64),
        }
    )


def build_targets(
    ratings: pd.DataFrame, listeners: pd.DataFrame, overall: TargetScale
) -> pd.DataFrame:
    """A TARGETS table without latent scores, pairs in order of first appearance.

    It has the column split if ratings have it.
    """
    arrays = rating_arrays.rating_arrays(ratings)
    pairs = rating_arrays.pairs_of(ratings, arrays, [*PAIR, "split"])
    return pairs.join(pair_scores(arrays, listeners, overall))
