"""Which listeners rate without regard to the sound: a mixture of attentive and careless listeners.

With a dozen ratings a listener's correlation with the others is mostly noise, and it misses the
clearest sign of carelessness: deviations far larger than those of all other listeners. So each
listener's ratings are explained by both components of a mixture, which their likelihoods compare.

Attentive: rating = mu + bias + scale * quality + noise. Quality is N(0, tau2) over pairs, bias
N(0, beta2) and scale N(1, kappa2) over listeners, noise N(0, g * sigma2) over ratings. Of the
quality, only the others' mean rating o is known; with W the sum of their attentiveness and omega2
the variance of ratings within pairs,

    quality given o  ~  N(k (o - mu), tau2 (1 - k)),    k = tau2 / (tau2 + omega2 / W),

the linear regression of truth on a fallible mean (Kelley 1947; Searle, Casella and McCulloch,
Variance Components, 1992, ch. 7). The effect of the scale on this variance is neglected.
Careless: rating = habit + noise, whatever the pair: habit N(m, gamma2) over listeners, noise
N(0, g * upsilon2), upsilon2 being the variance of all ratings.

Listeners differ in their noise by the factor g, whose distribution over a grid is estimated for
each component (nonparametric empirical Bayes: Laird 1978); so a merely noisy listener stays
attentive, and one whose ratings are all nearly equal is still careless. Bias, scale and habit are
integrated out.
EM (Dempster, Laird and Rubin 1977) alternates the probability of each listener's carelessness with
the fraction of careless listeners and the parameters of both components; mu, tau2, omega2 and the
others' means are moments, weighted by each listener's attentiveness. The probability is an estimate
under this model, not a verdict; ratings at the ends of the scale are treated as normal too.

N = ratings, L = listeners, G = grid points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays

NOISE_FACTORS = np.exp(np.linspace(-3.0, 2.0, 11))  # (G,) of the variance, 0.05 to 7.4
ROUNDING = 1 / 12  # variance of rounding to whole points: no listener's noise is smaller
# Before any data; the weight of a prior is a number of listeners.
PRIOR_SPREAD = 1.0  # variance of bias and of habit, with weight 1
PRIOR_SLOPE, SLOPE_WEIGHT = 0.05, 5.0  # variance of the scale
PRIOR_FRACTION, FRACTION_WEIGHT = 0.05, 10.0  # of careless listeners
MIN_WEIGHT = 1e-6  # of a listener, so that no sum of weights is 0
MAX_ITERATIONS, TOLERANCE = 100, 1e-4  # largest change of a probability at convergence


@dataclass(frozen=True, kw_only=True)
class _Component:
    """The parameters of attentive or of careless listeners."""

    spread: float  # variance of the bias or habit
    slope: float  # variance of the scale; without effect for careless listeners
    noise: Floats  # (G,) probabilities of the factors


@dataclass(frozen=True, kw_only=True)
class _Posterior:
    """One component's evidence for each listener, and the moments of the random effects."""

    evidence: Floats  # (L,) log likelihood
    factors: Floats  # (G, L) probability of each noise factor
    squares: Floats  # (L,) expected square of the bias or habit
    slopes: Floats  # (L,) expected square of the scale less 1


def careless_probabilities(ratings: RatingArrays) -> Floats:
    """The probability that a listener is careless, given all ratings. (L,)

    Pairs with one rating tell nothing; a listener without others stays at the estimated fraction,
    which starts at PRIOR_FRACTION.
    """
    several = rating_arrays.group_counts(ratings.pair, ratings.num_pairs) > 1  # (P,)
    ratings = ratings.where(several[ratings.pair])
    probability = np.full(ratings.num_listeners, PRIOR_FRACTION)
    if not len(ratings.score):
        return probability
    fraction = PRIOR_FRACTION
    prior_noise = np.exp(-0.5 * np.log(NOISE_FACTORS) ** 2)
    prior_noise = prior_noise / prior_noise.sum()
    attentive = careless = _Component(spread=PRIOR_SPREAD, slope=PRIOR_SLOPE, noise=prior_noise)
    listener, size = ratings.listener, ratings.num_listeners
    rated = rating_arrays.group_counts(listener, size) > 0
    for _ in range(MAX_ITERATIONS):
        residuals = _attentive_residuals(ratings, probability, attentive.spread)
        if_attentive = _explain(listener, *residuals, attentive, size)
        residuals = _careless_residuals(ratings, probability)
        if_careless = _explain(listener, *residuals, careless, size)
        odds = np.log(fraction / (1 - fraction)) + if_careless.evidence - if_attentive.evidence
        before, probability = probability, expit(odds)
        probability[~rated] = fraction
        weight = np.where(rated, probability, 0.0)
        prior = PRIOR_FRACTION * FRACTION_WEIGHT
        fraction = float((weight.sum() + prior) / (rated.sum() + FRACTION_WEIGHT))
        careless = _fit_component(if_careless, weight, prior_noise)
        attentive = _fit_component(if_attentive, rated - weight, prior_noise)
        if np.abs(probability - before).max() < TOLERANCE:
            break
    return probability


def _attentive_residuals(
    ratings: RatingArrays, careless: Floats, spread: float
) -> tuple[Floats, Floats, Floats]:
    """Ratings less those of the average attentive listener, quality, and variance. 3 x (N,)"""
    pair, pairs = ratings.pair, ratings.num_pairs
    score = ratings.score.astype(np.float64, copy=False)
    weight = np.maximum(1 - careless, MIN_WEIGHT)[ratings.listener]  # (N,)
    total = rating_arrays.group_sums(pair, weight, pairs)  # (P,)
    weighted = rating_arrays.group_sums(pair, weight * score, pairs)
    mean = (weighted / np.maximum(total, MIN_WEIGHT))[pair]  # (N,)
    own = rating_arrays.group_sums(pair, weight**2, pairs) / np.maximum(total, MIN_WEIGHT)
    within = float(np.sum(weight * (score - mean) ** 2) / np.sum(total - own))
    within = max(within, ROUNDING)
    center = float(np.sum(weight * score) / np.sum(weight))
    between = float(np.sum(weight * (score - center) ** 2) / np.sum(weight)) - within
    between = max(between, ROUNDING)
    others = np.maximum(total[pair] - weight, 0.0)  # (N,) W
    deviation = (weighted[pair] - weight * score) - center * others  # W (o - mu)
    gain = between / (between * others + within)  # k / W
    noise = max(within - spread, ROUNDING)
    quality = gain * deviation
    return score - center - quality, quality, noise + between * (1 - gain * others)


def _careless_residuals(ratings: RatingArrays, careless: Floats) -> tuple[Floats, Floats, Floats]:
    """Ratings less the careless listeners' mean, no quality, and the variance of all. 3 x (N,)"""
    weight = np.maximum(careless, MIN_WEIGHT)[ratings.listener]
    score = ratings.score.astype(np.float64, copy=False)
    residual = score - float(np.sum(weight * score) / np.sum(weight))
    variance = max(float(np.var(score)), ROUNDING)
    return residual, np.zeros(len(score)), np.full(len(score), variance)


def _explain(
    listener: NDArray[np.int32],
    residual: Floats,
    quality: Floats,
    variance: Floats,
    component: _Component,
    size: int,
) -> _Posterior:
    """residual = constant N(0, spread) + N(0, slope) * quality + noise N(0, g * variance).

    Both random effects have a normal posterior; determinant and inverse are those of 2 x 2.
    """

    def sums(values: Floats) -> Floats:
        return rating_arrays.group_sums(listener, values, size)  # (L,)

    spread, slope, factor = component.spread, component.slope, NOISE_FACTORS[:, None]  # (G, 1)
    one = spread * sums(1 / variance) / factor  # (G, L)
    two = slope * sums(quality**2 / variance) / factor
    cross = sums(quality / variance) / factor
    level = sums(residual / variance) / factor
    tilt = sums(residual * quality / variance) / factor
    determinant = (1 + one) * (1 + two) - spread * slope * cross**2
    bias = spread * ((1 + two) * level - slope * cross * tilt) / determinant
    scale = slope * ((1 + one) * tilt - spread * cross * level) / determinant
    exponent = sums(residual**2 / variance) / factor - bias * level - scale * tilt
    logs = sums(np.log(2 * np.pi * variance))
    count = rating_arrays.group_counts(listener, size)
    likelihood = -0.5 * (logs + count * np.log(factor) + np.log(determinant) + exponent)
    joint = likelihood + np.log(component.noise)[:, None]
    evidence = logsumexp(joint, axis=0)  # (L,)
    factors = np.exp(joint - evidence)
    return _Posterior(
        evidence=evidence,
        factors=factors,
        squares=(factors * (bias**2 + spread * (1 + two) / determinant)).sum(axis=0),
        slopes=(factors * (scale**2 + slope * (1 + one) / determinant)).sum(axis=0),
    )


def _fit_component(posterior: _Posterior, weight: Floats, prior_noise: Floats) -> _Component:
    """The most probable parameters for listeners of these weights (L,), given the priors."""
    total = float(weight.sum())
    slopes = float(posterior.slopes @ weight + PRIOR_SLOPE * SLOPE_WEIGHT)
    noise = posterior.factors @ weight + prior_noise
    return _Component(
        spread=float(posterior.squares @ weight + PRIOR_SPREAD) / (total + 1),
        slope=slopes / (total + SLOPE_WEIGHT),
        noise=noise / noise.sum(),
    )
