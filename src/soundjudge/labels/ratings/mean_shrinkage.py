"""Mean ratings drawn towards the mean of all pairs where ratings are few.

P = pairs.
"""

from soundjudge.labels.ratings.rating_arrays import (
    Floats,
    RatingArrays,
    group_counts,
    group_means,
)
from soundjudge.labels.ratings.variance_components import estimate_components

MIN_SHARE = 1e-6  # of the variance of ratings that pairs may have, so that a shrunken mean varies


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
