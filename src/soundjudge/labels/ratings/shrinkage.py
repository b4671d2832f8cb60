"""Listener statistics pulled towards what is usual, by empirical Bayes: a few ratings prove little.

The mean. Listener l has n ratings of mean y about her own mean m, with variance s2 / n, and m is
N(mu, b2) over the panel. Then E[m | y] = (n y + k mu) / (n + k) with k = s2 / b2: as if by k more
ratings of mu (normal-normal: Efron and Morris 1975). s2 and b2 are the moments of the one-way
random-effects analysis of variance with unequal n (Searle, Casella and McCulloch, Variance
Components, 1992, ch. 3). Listeners rate different pairs, so y contains their quality; where pairs
are given out at random this is part of s2 / n, and it is not taken for bias.

The variance. The sample variance v is distributed as t2 chi2(d) / d, and 1 / t2 over the panel as
chi2(d0) / (d0 u2), so that the estimate of t2 is (d v + d0 u2) / (d + d0): as if by d0 more degrees
of freedom of u2 (Smyth 2004, eq. 3). d0 and u2 match mean and variance of log v over listeners
(Smyth 2004, section 6.2). That is for normal ratings, d = n - 1. On a scale with two ends ratings
have short tails, and v varies less: var v = t4 (2 / (n - 1) + g / n) with excess kurtosis g. We
take the d of equal variance, 2 / d = 2 / (n - 1) + g / n, g being the ratio of the unbiased
estimates of the fourth cumulant and of t4 (k-statistics, Kenney and Keeping 1951), over all
listeners. With normal d's, on ratings at both ends of the scale, shrinking does harm.

L = listeners.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays

Shrinkage: TypeAlias = float | Literal["empirical_bayes"]
"""Ratings' worth of pull, 0 = as published; or as strong as the listeners' differences call for."""

LEAST_VARIANCE = 1e-12  # below it only rounding errors make ratings differ
LEAST_KURTOSIS = -2.0  # of any distribution; two equal heaps at both ends have it


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What the ratings of each listener say of her."""

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
        return Moments(
            ratings=self.ratings[rows],
            mean=self.mean[rows],
            squares=self.squares[rows],
            fourths=self.fourths[rows],
        )


@dataclass(frozen=True, kw_only=True)
class ShrinkagePrior:
    """Towards what, and how strongly; an infinite strength leaves nothing of a listener's own."""

    mean: float  # rating points
    variance: float  # rating points squared
    ratings: float  # strength of the mean, in ratings
    freedom: float  # strength of the variance, in degrees of freedom
    kurtosis: float  # excess kurtosis of a listener's ratings


def check_strength(strength: Shrinkage | str) -> None:
    """LabelError if this is no strength."""
    if strength != "empirical_bayes" and not (isinstance(strength, float | int) and strength >= 0):
        raise SoundjudgeError(
            f"shrinkage is {strength}: choose empirical_bayes or a number of ratings, 0 for none"
        )


def parse_strength(text: str) -> Shrinkage:
    """What a person wrote, as a strength; LabelError if it is none."""
    if text == "empirical_bayes":
        return "empirical_bayes"
    try:
        number = float(text)
    except ValueError:
        check_strength(text)
        raise
    check_strength(number)
    return number


def listener_moments(ratings: RatingArrays) -> Moments:
    """The moments of every listener number; zeros for one without ratings."""
    listener, size = ratings.listener, ratings.listeners
    mean = rating_arrays.group_means(listener, ratings.score, size)
    squares = (ratings.score - mean[listener]) ** 2
    return Moments(
        ratings=rating_arrays.group_counts(listener, size),
        mean=mean,
        squares=rating_arrays.group_sums(listener, squares, size),
        fourths=rating_arrays.group_sums(listener, squares**2, size),
    )


def fixed_prior(strength: float, *, mean: float, variance: float) -> ShrinkagePrior:
    """A pull as if by `strength` more ratings of this mean and variance, ratings being normal."""
    return ShrinkagePrior(
        mean=mean, variance=variance, ratings=strength, freedom=strength, kurtosis=0.0
    )


def estimate_prior(known: Moments, mean: float) -> ShrinkagePrior:
    """The pull towards `mean` that the listeners' own differences call for; all have ratings."""
    kurtosis = excess_kurtosis(known)
    freedom, variance = variance_prior(known.variance, effective_dof(known.ratings, kurtosis))
    strength = mean_strength(known)
    return ShrinkagePrior(
        mean=mean, variance=variance, ratings=strength, freedom=freedom, kurtosis=kurtosis
    )


def shrink(known: Moments, pull: ShrinkagePrior) -> tuple[Floats, Floats]:
    """Mean and variance of every listener, pulled. 2 x (L,)"""
    own = _share(known.ratings, pull.ratings)
    freedom = _share(effective_dof(known.ratings, pull.kurtosis), pull.freedom)
    mean = own * known.mean + (1 - own) * pull.mean
    return mean, freedom * known.variance + (1 - freedom) * pull.variance


def mean_strength(known: Moments) -> float:
    """k: variance of a rating within listeners over that of listeners' means; infinite if none."""
    n, total = known.ratings, float(known.ratings.sum())
    if len(n) < 2 or total <= len(n):
        return np.inf
    within = float(known.squares.sum()) / (total - len(n))
    center = float(np.average(known.mean, weights=n))
    between = float(np.sum(n * (known.mean - center) ** 2)) / (len(n) - 1)
    typical = (total - float(np.sum(n**2)) / total) / (len(n) - 1)
    bias = (between - within) / typical
    return within / bias if bias > LEAST_VARIANCE else np.inf


def excess_kurtosis(known: Moments) -> float:
    """g, pooled over listeners with four ratings or more; 0 if there are none."""
    enough = known.ratings > 3
    n, second = known.ratings[enough], known.variance[enough]
    fourth = n * (n + 1) * known.fourths[enough] - 3 * (n - 1) * known.squares[enough] ** 2
    fourth = fourth / ((n - 1) * (n - 2) * (n - 3))  # (L,) unbiased fourth cumulant
    squared = (second**2 - fourth / n) * (n - 1) / (n + 1)  # (L,) unbiased t4
    scale = float(np.sum(n * squared))
    return max(float(np.sum(n * fourth)) / scale, LEAST_KURTOSIS) if scale > 0 else 0.0


def effective_dof(ratings: Floats, kurtosis: float) -> Floats:
    """d: how many degrees of freedom a sample variance is worth; 0 for a single rating. (L,)"""
    several = np.maximum(ratings, 2)
    relative = 2 / (several - 1) + kurtosis / several  # variance of v / t2, at least 2 / n (n - 1)
    return np.where(ratings > 1, 2 / relative, 0.0)


def variance_prior(variance: Floats, freedom: Floats) -> tuple[float, float]:
    """(d0, u2) of Smyth 2004. Listeners with one rating or one opinion have no say in it."""
    usable = (freedom > 0) & (variance > LEAST_VARIANCE)
    if not usable.any():
        return np.inf, 1.0  # as published for a deviation that is not known
    d = freedom[usable]
    logs = np.log(variance[usable]) - digamma(d / 2) + np.log(d / 2)
    if len(d) > 1:
        spread = float(logs.var(ddof=1) - polygamma(1, d / 2).mean())
        if spread > polygamma(1, 1e6):
            half = float(brentq(lambda x: polygamma(1, x) - spread, 1e-9, 1e6))
            return 2 * half, float(np.exp(logs.mean() + digamma(half) - np.log(half)))
    return np.inf, float(np.average(variance[usable], weights=d))


def _share(own: Floats, strength: float) -> Floats:
    """own / (own + strength); 0 for an infinite strength, and where there is nothing of one's own.

    A strength of 0 leaves all.
    """
    if np.isinf(strength):
        return np.zeros(len(own))
    return np.where(own > 0, own / np.maximum(own + strength, 1e-300), 0.0)
