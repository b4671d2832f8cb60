"""Expectation-maximization for the latent-score model: the posterior of qualities, and the panel.

score = level_j + scale_j * z_i + noise_j * eps,   z_i ~ N(0, quality variance),   eps ~ N(0, 1)

z is the quality of a pair above the mean pair; the level of a listener is the panel's mean plus a
bias. That is the model of bias and inconsistency of ITU-T P.913 section 12.4 (Li and others 2020,
arXiv 2004.02067; Li and Bampis 2017, arXiv 1611.01715), with a scale per listener, with priors, and
with the qualities integrated out instead of fitted.

N = ratings, P = pairs (i), L = listeners (j).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from soundjudge.labels.ratings.latent_priors import ROUNDING, Priors
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays, group_counts, group_sums


@dataclass(frozen=True, kw_only=True)
class ListenerPanel:
    """The parameters of the listeners."""

    mean: float  # of the levels: the mean listener's rating of the mean pair
    noise: float  # variance, of listeners without ratings
    level: Floats  # (L,)
    scale: Floats  # (L,)
    variance: Floats  # (L,) of the noise


@dataclass(frozen=True, kw_only=True)
class Qualities:
    """The posterior of the qualities, given a panel."""

    mean: Floats  # (P,) of z
    variance: Floats  # (P,)
    log_likelihood: float  # of the ratings given the panel, z integrated out


@dataclass(frozen=True, kw_only=True)
class RatingSums:
    """The ratings, and each listener's sums, which no iteration changes."""

    arrays: RatingArrays
    count: Floats  # (L,)
    score: Floats  # (L,)
    square: Floats  # (L,)


def sum_ratings(ratings: RatingArrays) -> RatingSums:
    """The ratings and each listener's sums of them."""
    listener, listeners = ratings.listener, ratings.num_listeners
    return RatingSums(
        arrays=ratings,
        count=group_counts(listener, listeners),
        score=group_sums(listener, ratings.score, listeners),
        square=group_sums(listener, np.square(ratings.score, dtype=np.float64), listeners),
    )


def initial_panel(ratings: RatingArrays, prior: Priors) -> ListenerPanel:
    """A panel of equal listeners."""
    one = np.ones(ratings.num_listeners)
    mean = float(ratings.score.mean(dtype=np.float64))
    return ListenerPanel(
        mean=mean, noise=prior.noise, level=mean * one, scale=one, variance=prior.noise * one
    )


def e_step(sums: RatingSums, panel: ListenerPanel, prior: Priors) -> Qualities:
    """The E step: mean and variance of every z, a normal posterior, and the likelihood.

    The ratings of a pair are jointly normal with covariance diag(variance) + quality scale scale';
    its inverse and determinant are those of Sherman, Morrison and Woodbury.
    """
    ratings = sums.arrays
    slope = panel.scale / panel.variance  # (L,)
    listener, pair, pairs = ratings.listener, ratings.pair, ratings.num_pairs
    information = group_sums(pair, (slope * panel.scale)[listener], pairs)  # (P,)
    weighted = slope[listener] * ratings.score  # (N,)
    weighted -= (slope * panel.level)[listener]
    evidence = group_sums(pair, weighted, pairs)  # (P,)
    variance = prior.quality / (1 + prior.quality * information)
    error = sums.square - 2 * panel.level * sums.score + panel.level**2 * sums.count  # (L,)
    deviance = (
        len(ratings.score) * np.log(2 * np.pi)
        + np.sum(sums.count * np.log(panel.variance))
        + np.sum(np.log1p(prior.quality * information))
        + np.sum(error / panel.variance)
        - np.sum(variance * evidence**2)
    )
    return Qualities(
        mean=variance * evidence, variance=variance, log_likelihood=-0.5 * float(deviance)
    )


def log_prior(panel: ListenerPanel, prior: Priors) -> float:
    """The penalty: log density of levels, scales and noises, the last with `fitted` added.

    Noise: scaled inverse chi-square, on a logarithmic scale, times variance^(fitted / 2) as in a
    restricted likelihood (Patterson and Thompson 1971), because a fit makes residuals smaller.
    """
    listeners, half = len(panel.level), prior.noise_prior_weight / 2
    bias = (panel.level - panel.mean) ** 2 / prior.bias
    scale = (panel.scale - 1) ** 2 / prior.scale
    normal = -0.5 * np.sum(bias + scale + np.log(4 * np.pi**2 * prior.bias * prior.scale))
    noise = half * np.log(half * panel.noise) - gammaln(half)
    varying = (prior.fitted / 2 - half) * np.log(panel.variance)
    varying -= half * panel.noise / panel.variance
    return float(normal + listeners * noise + np.sum(varying))


def m_step(
    sums: RatingSums, qualities: Qualities, panel: ListenerPanel, prior: Priors
) -> ListenerPanel:
    """The M step: each listener's weighted regression on z, then the noises, then the panel's.

    Mean, levels and scales are the joint maximum given the noises, the noises that given them: the
    penalized likelihood cannot fall (Meng and Rubin 1993, ECM).
    """
    ratings, listener, listeners = sums.arrays, sums.arrays.listener, sums.arrays.num_listeners
    x = qualities.mean[ratings.pair]  # (N,)
    sum_x = group_sums(listener, x, listeners)
    sum_xy = group_sums(listener, x * ratings.score, listeners)
    sum_xx = group_sums(listener, (qualities.mean**2 + qualities.variance)[ratings.pair], listeners)

    covariance = _covariance(sums.count, sum_x, sum_xx, panel.variance, prior)
    level_level, level_scale, scale_scale = covariance
    to_level = sums.score / panel.variance
    to_scale = sum_xy / panel.variance + 1 / prior.scale
    # level = fixed + share * mean; the best mean is that of the levels.
    fixed, share = level_level * to_level + level_scale * to_scale, level_level / prior.bias
    mean = float(np.sum(fixed) / np.sum(1 - share))
    to_level += mean / prior.bias
    level = level_level * to_level + level_scale * to_scale
    scale = level_scale * to_level + scale_scale * to_scale

    error = sums.square - 2 * (level * sums.score + scale * sum_xy)
    error += level**2 * sums.count + 2 * level * scale * sum_x + scale**2 * sum_xx
    dof = prior.noise_prior_weight + sums.count - prior.fitted
    variance = np.maximum((prior.noise_prior_weight * panel.noise + error) / dof, ROUNDING)
    # A harmonic mean, so that a few careless listeners do not make all others noisy.
    noise = min(float(listeners / np.sum(1 / variance)), prior.noise)
    return ListenerPanel(mean=mean, noise=noise, level=level, scale=scale, variance=variance)


def standard_errors(
    sums: RatingSums, qualities: Qualities, panel: ListenerPanel, prior: Priors
) -> Floats:
    """The standard error of each z, the uncertainty of the listeners included. (P,), rating points

    To the posterior variance of z given the listeners come, to first order, the variances of the
    levels and scales of its listeners, and the loss by weights that are themselves estimates
    (Meier 1953, Biometrics 9, 59-73). The error of the panel's mean, common to all pairs, is left
    out.
    """
    listener, pair, pairs = sums.arrays.listener, sums.arrays.pair, sums.arrays.num_pairs
    listeners = sums.arrays.num_listeners
    x = qualities.mean[pair]  # (N,)
    sum_xx = group_sums(listener, (qualities.mean**2 + qualities.variance)[pair], listeners)
    sum_x = group_sums(listener, x, listeners)
    covariance = _covariance(sums.count, sum_x, sum_xx, panel.variance, prior)
    level_level, level_scale, scale_scale = (part[listener] for part in covariance)
    habit = level_level + 2 * level_scale * x + scale_scale * x**2  # (N,) variance of a prediction
    weight = (
        qualities.variance[pair] * (panel.scale / panel.variance)[listener]
    )  # (N,) of a rating in z
    share = weight * panel.scale[listener]  # the shares of a pair and of the prior add up to 1
    dof = (prior.noise_prior_weight + sums.count - prior.fitted)[listener]
    loss = 4 * group_sums(pair, share * (1 - share) / dof, pairs)
    variance = qualities.variance * (1 + loss) + group_sums(pair, weight**2 * habit, pairs)
    return np.sqrt(variance)


def _covariance(
    count: Floats, sum_x: Floats, sum_xx: Floats, variance: Floats, prior: Priors
) -> tuple[Floats, Floats, Floats]:
    """Of each listener's level and scale, given the noise: level, both, scale. Each (L,)"""
    level, both = count / variance + 1 / prior.bias, sum_x / variance
    scale = sum_xx / variance + 1 / prior.scale
    determinant = level * scale - both**2
    return scale / determinant, -both / determinant, level / determinant
