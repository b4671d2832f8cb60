"""Shrinkage of listeners' means and variances towards the panel's, by empirical Bayes.

The mean. Listener l has n ratings of mean y about their true mean m, with variance s2 / n, and m is
N(mu, b2) over the panel. Then E[m | y] = (n y + k mu) / (n + k) with k = s2 / b2: as if by k more
ratings of mu (normal-normal: Efron and Morris 1975). s2 and b2 are the moments of the one-way
random-effects analysis of variance with unequal n (Searle, Casella and McCulloch, Variance
Components, 1992, ch. 3). Listeners rate different pairs, so y contains their quality; where pairs
are assigned at random this is part of s2 / n, and it is not mistaken for bias.

The variance. The sample variance v is distributed as t2 chi2(d) / d, and 1 / t2 over the panel as
chi2(d0) / (d0 u2), so that the estimate of t2 is (d v + d0 u2) / (d + d0): as if by d0 more degrees
of freedom of u2 (Smyth 2004, eq. 3). d0 and u2 match mean and variance of log v over listeners
(Smyth 2004, section 6.2). That is for normal ratings, d = n - 1. On a scale with two ends ratings
have short tails, and v varies less: var v = t4 (2 / (n - 1) + g / n) with excess kurtosis g. So d
is the one of equal variance, 2 / d = 2 / (n - 1) + g / n, g being the ratio of the unbiased
estimates of the fourth cumulant and of t4 (k-statistics, Kenney and Keeping 1951), over all
listeners. With d = n - 1, on ratings at both ends of the scale, shrinkage does harm.

L = listeners.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays

MIN_VARIANCE = 1e-12  # below it ratings differ only by rounding errors
MIN_KURTOSIS = -2.0  # excess, of any distribution: that of two equal halves at both ends


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Count, mean and central moments of each listener's ratings."""

    ratings: Floats  # (L,) n
    mean: Floats  # (L,)
    squares: Floats  # (L,) sum of squared deviations from the mean
    fourths: Floats  # (L,) sum of their squares

    @property
    def variance(self) -> Floats:
        """Sample variance; 0 for a single rating. (L,)"""
        return self.squares / np.maximum(self.ratings - 1, 1)

    def of(self, rows: NDArray[np.intp]) -> "Moments":
        """The moments of these listeners, in this order."""
        return Moments(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class ShrinkagePrior:
    """The panel's mean and variance, and their strengths; an infinite one replaces a listener's."""

    mean: float  # rating points
    variance: float  # rating points squared
    ratings: float  # strength of the mean, in ratings
    dof: float  # strength of the variance, in degrees of freedom
    kurtosis: float  # excess kurtosis of a listener's ratings


def listener_moments(ratings: RatingArrays) -> Moments:
    """The moments of every listener; zeros for one without ratings."""
    listener, size = ratings.listener, ratings.num_listeners
    mean = rating_arrays.group_means(listener, ratings.score, size)
    squares = (ratings.score - mean[listener]) ** 2
    return Moments(
        ratings=rating_arrays.group_counts(listener, size),
        mean=mean,
        squares=rating_arrays.group_sums(listener, squares, size),
        fourths=rating_arrays.group_sums(listener, squares**2, size),
    )


def estimate_prior(moments: Moments, mean: float) -> ShrinkagePrior:
    """The prior of this mean that the listeners' differences call for; all have ratings."""
    kurtosis = excess_kurtosis(moments)
    dof, variance = variance_prior(moments.variance, effective_dof(moments.ratings, kurtosis))
    strength = mean_strength(moments)
    return ShrinkagePrior(
        mean=mean, variance=variance, ratings=strength, dof=dof, kurtosis=kurtosis
    )


def shrink(moments: Moments, prior: ShrinkagePrior) -> tuple[Floats, Floats]:
    """The posterior mean and variance of every listener. 2 x (L,)"""
    of_mean = _own_weight(moments.ratings, prior.ratings)
    of_variance = _own_weight(effective_dof(moments.ratings, prior.kurtosis), prior.dof)
    mean = of_mean * moments.mean + (1 - of_mean) * prior.mean
    return mean, of_variance * moments.variance + (1 - of_variance) * prior.variance


def mean_strength(moments: Moments) -> float:
    """k: variance of a rating within listeners over that of their means; infinite if that is 0."""
    n, total = moments.ratings, float(moments.ratings.sum())
    if len(n) < 2 or total <= len(n):
        return np.inf
    within = float(moments.squares.sum()) / (total - len(n))
    center = float(np.average(moments.mean, weights=n))
    between = float(np.sum(n * (moments.mean - center) ** 2)) / (len(n) - 1)
    typical = (total - float(np.sum(n**2)) / total) / (len(n) - 1)
    bias = (between - within) / typical
    return within / bias if bias > MIN_VARIANCE else np.inf


def excess_kurtosis(moments: Moments) -> float:
    """g, pooled over listeners with four ratings or more; 0 if there are none."""
    enough = moments.ratings > 3
    n, second = moments.ratings[enough], moments.variance[enough]
    fourth = n * (n + 1) * moments.fourths[enough] - 3 * (n - 1) * moments.squares[enough] ** 2
    fourth = fourth / ((n - 1) * (n - 2) * (n - 3))  # (L,) unbiased fourth cumulant
    squared = (second**2 - fourth / n) * (n - 1) / (n + 1)  # (L,) unbiased t4
    scale = float(np.sum(n * squared))
    return max(float(np.sum(n * fourth)) / scale, MIN_KURTOSIS) if scale > 0 else 0.0


def effective_dof(ratings: Floats, kurtosis: float) -> Floats:
    """d: the degrees of freedom of each sample variance; 0 for a single rating. (L,)"""
    several = np.maximum(ratings, 2)
    relative = 2 / (several - 1) + kurtosis / several  # variance of v / t2, at least 2 / n (n - 1)
    return np.where(ratings > 1, 2 / relative, 0.0)


def variance_prior(variance: Floats, dof: Floats) -> tuple[float, float]:
    """(d0, u2) of Smyth 2004, from listeners with two different ratings or more."""
    usable = (dof > 0) & (variance > MIN_VARIANCE)
    if not usable.any():
        return np.inf, 1.0  # as published for an unknown standard deviation
    d = dof[usable]
    logs = np.log(variance[usable]) - digamma(d / 2) + np.log(d / 2)
    if len(d) > 1:
        spread = float(logs.var(ddof=1) - polygamma(1, d / 2).mean())
        if spread > polygamma(1, 1e6):
            half = float(brentq(lambda x: polygamma(1, x) - spread, 1e-9, 1e6))
            return 2 * half, float(np.exp(logs.mean() + digamma(half) - np.log(half)))
    return np.inf, float(np.average(variance[usable], weights=d))


def _own_weight(own: Floats, strength: float) -> Floats:
    """own / (own + strength); 0 for an infinite strength, and where `own` is 0."""
    if np.isinf(strength):
        return np.zeros(len(own))
    return np.where(own > 0, own / np.maximum(own + strength, 1e-300), 0.0)
