"""The screenings and targets that a study compares: ratings to one score per pair.

P = pairs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from soundjudge.labels.ratings import latent
from soundjudge.labels.ratings.config import Method, Standardization
from soundjudge.labels.ratings.listeners import listener_scales, pair_scores
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays, group_means
from soundjudge.labels.ratings.variance_components import shrunken_means

Target: TypeAlias = Literal["mean", "mean_shrunken", "spo", "spo_shrunken", "latent"]
TARGETS: tuple[Target, ...] = get_args(Target)
SCREENINGS: tuple[Method, ...] = ("none", "rating", "listener", "both")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A screening, and the target that is made of the ratings that it keeps."""

    screening: Method
    target: Target

    def __str__(self) -> str:
        return f"{self.screening}/{self.target}"


def target_scores(ratings: RatingArrays, target: Target, config: Standardization) -> Floats:
    """The target of each pair, NaN of one without ratings. (P,)"""
    pairs, pair = np.unique(ratings.pair, return_inverse=True)
    people, listener = np.unique(ratings.listener, return_inverse=True)
    dense = RatingArrays(
        pair=pair.astype(np.int32),
        listener=listener.astype(np.int32),
        score=ratings.score,
        num_pairs=len(pairs),
        listener_ids=ratings.listener_ids[people],
    )
    scores = np.full(ratings.num_pairs, np.nan)
    scores[pairs] = METHODS[target](dense, config)
    return scores


def _spo(ratings: RatingArrays, config: Standardization) -> Floats:
    scales = listener_scales(ratings, config.shrinkage)
    return pair_scores(ratings, scales.listeners, scales.overall)["spo_score"].to_numpy()


def _latent(ratings: RatingArrays, config: Standardization) -> Floats:
    return latent.estimate_latent(ratings, config.latent).score


METHODS: Mapping[Target, Callable[[RatingArrays, Standardization], Floats]] = {
    "mean": lambda ratings, _: group_means(ratings.pair, ratings.score, ratings.num_pairs),
    "mean_shrunken": lambda ratings, _: shrunken_means(ratings),
    "spo": lambda ratings, config: _spo(ratings, replace(config, shrinkage=0.0)),
    "spo_shrunken": _spo,
    "latent": _latent,
}
"""`spo_shrunken` is with the strength of `Standardization`, `spo` without."""
