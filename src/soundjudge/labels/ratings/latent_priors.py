"""The priors of the latent-score model.

With a dozen ratings per listener and four per pair, maximum likelihood alone has no solution: a
listener whose noise goes to 0 while the qualities follow their ratings makes the likelihood
infinite.

L = listeners. Variances are in squared rating points.
"""

from dataclasses import dataclass

import numpy as np

from soundjudge.labels.ratings.config import LatentConfig
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays, group_counts
from soundjudge.labels.ratings.variance_components import estimate_components

SCALE_VARIANCE = 10**2 / 12  # of ratings spread evenly from 0 to 10
ROUNDING = 1 / 12  # noise variance of a rating in whole points: no listener's is smaller
MIN_BIAS = 0.1**2  # variance; a narrower prior would fix the biases


@dataclass(frozen=True, kw_only=True)
class Priors:
    """Normal for qualities, biases and scales; scaled inverse chi-square for noise variances."""

    quality: float  # variance of z
    bias: float  # variance of a level around the mean
    scale: float  # variance of a scale around 1
    noise: float  # largest noise variance that the panel as a whole may have
    noise_prior_weight: float  # ratings' worth of prior on a listener's noise
    fitted: Floats  # (L,) degrees of freedom that a listener's level and scale take


def estimate_priors(ratings: RatingArrays, config: LatentConfig) -> Priors:
    """Priors with the spreads of qualities, biases and noise that the ratings themselves show.

    The spread of qualities is that of these pairs and of one more whose ratings are spread over the
    whole scale, so that a single pair has one. `fitted` is the trace of the hat matrix of a
    listener's regression, by which it reduces the degrees of freedom of a residual variance.
    """
    components = estimate_components(ratings)
    pairs = np.count_nonzero(group_counts(ratings.pair, ratings.num_pairs))
    quality = ((pairs - 1) * max(components.pair, 0.0) + SCALE_VARIANCE) / pairs
    bias, noise = max(components.listener, MIN_BIAS), max(components.residual, ROUNDING)
    count = group_counts(ratings.listener, ratings.num_listeners)
    prior = np.array([[bias], [quality * config.scale_sd**2]])
    fitted = np.minimum(np.sum(count * prior / (count * prior + noise), axis=0), count)
    return Priors(
        quality=quality,
        bias=bias,
        scale=config.scale_sd**2,
        noise=noise,
        noise_prior_weight=config.noise_prior_weight,
        fitted=fitted,
    )
