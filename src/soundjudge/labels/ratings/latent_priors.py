"""What the latent-score model believes of listeners before it hears one of them.

With a dozen ratings a listener and four a pair, maximum likelihood alone has no answer: a listener
whose noise goes to 0 while the qualities follow her ratings makes the likelihood infinite.

L = listeners. Variances are in squared rating points.
"""

from dataclasses import dataclass

import numpy as np

from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays, group_counts
from soundjudge.labels.ratings.variance_components import estimate_components

SCALE_VARIANCE = 10**2 / 12  # of ratings spread evenly from 0 to 10
ROUNDING = 1 / 12  # noise variance of a rating in whole points: no listener is surer than that
LEAST_BIAS = 0.1**2  # variance; below it the priors of the biases would be needles


@dataclass(frozen=True, kw_only=True)
class Priors:
    """Normal for qualities, biases and scales; scaled inverse chi-square for noise variances."""

    quality: float  # variance of z
    bias: float  # variance of a level around the mean
    scale: float  # variance of a scale around 1
    noise: float  # largest noise variance that the panel as a whole may have
    noise_prior_weight: float  # ratings' worth of pull of a listener's noise towards the panel's
    fitted: Floats  # (L,) ratings' worth of a listener that go into its own level and scale


def estimate_priors(ratings: RatingArrays, *, scale_sd: float, noise_prior_weight: float) -> Priors:
    """Priors with the spreads of qualities, biases and noise that the ratings themselves show.

    The spread of qualities counts as if one more pair had been seen whose ratings are spread over
    the whole scale, so that a single pair has one. `fitted` is the trace of the hat matrix of a
    listener's regression: a residual variance has so many degrees of freedom less.
    """
    found = estimate_components(ratings)
    seen = np.count_nonzero(group_counts(ratings.pair, ratings.pairs))
    quality = ((seen - 1) * max(found.pair, 0.0) + SCALE_VARIANCE) / seen
    bias, noise = max(found.listener, LEAST_BIAS), max(found.residual, ROUNDING)
    number = group_counts(ratings.listener, ratings.listeners)
    prior = np.array([[bias], [quality * scale_sd**2]])
    fitted = np.minimum(np.sum(number * prior / (number * prior + noise), axis=0), number)
    return Priors(
        quality=quality,
        bias=bias,
        scale=scale_sd**2,
        noise=noise,
        noise_prior_weight=noise_prior_weight,
        fitted=fitted,
    )
