"""Which listeners rate without regard to the sound: a mixture of attentive and careless ones.

With a dozen ratings a listener's correlation with the others is mostly noise, and it overlooks what
else gives a careless listener away: differences from the others far beyond those of all the rest.
So two explanations of all ratings of a listener are compared by their likelihoods.

Attentive: rating = mu + bias + scale * quality + noise. Quality is N(0, tau2) over pairs, bias
N(0, beta2) and scale N(1, kappa2) over listeners, noise N(0, g * sigma2) over ratings. Of the
quality, only the others' mean rating o is known; with W the sum of their attentiveness and omega2
the variance of ratings within pairs,

    quality given o  ~  N(k (o - mu), tau2 (1 - k)),    k = tau2 / (tau2 + omega2 / W),

the linear regression of truth on a fallible mean (Kelley 1947; Searle, Casella and McCulloch,
Variance Components, 1992, ch. 7). That the scale changes the variance, too, is left out.
Careless: rating = habit + noise, without the pair: habit N(m, gamma2) over listeners, noise
N(0, g * upsilon2), upsilon2 being the variance of all ratings.

Good and bad days are the factor g, whose distribution over a grid is estimated for each of both
kinds (nonparametric empirical Bayes: Laird 1978); so a merely noisy listener stays attentive, and
one who always answers about the same is careless all the same. Bias, scale and habit are integrated
out.
EM (Dempster, Laird and Rubin 1977) alternates the probability of each listener's carelessness with
the share of careless listeners and the parameters of both kinds; mu, tau2, omega2 and the others'
means are moments, in which a listener weighs as much as she is attentive. The probability is an
estimate under this model, not a verdict; ratings at the ends of the scale are taken as normal too.

N = ratings, L = listeners, G = grid points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays

GRID = np.exp(np.linspace(-3.0, 2.0, 11))  # (G,) factors of the noise variance, 0.05 to 7.4
ROUNDING = 1 / 12  # variance of rounding to whole points: nobody's noise is smaller
SPREAD = 1.0  # before any data: variance of bias and of habit, believed like one listener
SLOPE, SLOPES = 0.05, 5.0  # before any data: variance of the scale, believed like so many people
SHARE, LISTENERS = 0.05, 10.0  # before any data: so many careless, and believed like so many people
LEAST = 1e-6  # weight of anyone, so that no sum of weights is 0
ROUNDS, SETTLED = 100, 1e-4  # at most so many; all probabilities moved by less


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What is believed of one kind of listener."""

    spread: float  # variance of the bias or habit
    slope: float  # variance of the scale; of a careless listener without effect
    noise: Floats  # (G,) probabilities of the factors


@dataclass(frozen=True, kw_only=True)
class _Explained:
    """How well one kind explains each listener's ratings."""

    evidence: Floats  # (L,) log likelihood
    factors: Floats  # (G, L) probability of each noise factor
    squares: Floats  # (L,) expected square of the bias or habit
    slopes: Floats  # (L,) expected square of the scale less 1


def careless_probabilities(ratings: RatingArrays) -> Floats:
    """The probability that a listener is careless, given all ratings. (L,)

    Pairs with one rating tell nothing; who has no others stays at the estimated share, which
    starts at SHARE.
    """
    several = rating_arrays.group_counts(ratings.pair, ratings.pairs) > 1  # (P,)
    ratings = ratings.where(several[ratings.pair])
    if not len(ratings.score):
        return np.full(ratings.listeners, SHARE)
    careless = np.full(ratings.listeners, SHARE)
    share = SHARE
    start = np.exp(-0.5 * np.log(GRID) ** 2)
    attentive_kind = careless_kind = _Kind(spread=SPREAD, slope=SLOPE, noise=start / start.sum())
    listener, size = ratings.listener, ratings.listeners
    heard = rating_arrays.group_counts(listener, size) > 0
    for _ in range(ROUNDS):
        attentive = _explained(
            listener, *_expected(ratings, careless, attentive_kind.spread), attentive_kind, size
        )
        indifferent = _explained(listener, *_habit(ratings, careless), careless_kind, size)
        odds = np.log(share / (1 - share)) + indifferent.evidence - attentive.evidence
        before, careless = careless, expit(odds)
        careless[~heard] = share
        weight = np.where(heard, careless, 0.0)
        share = float((weight.sum() + SHARE * LISTENERS) / (heard.sum() + LISTENERS))
        careless_kind = _kind(indifferent, weight, start)
        attentive_kind = _kind(attentive, heard - weight, start)
        if np.abs(careless - before).max() < SETTLED:
            break
    return careless


def _expected(
    ratings: RatingArrays, careless: Floats, spread: float
) -> tuple[Floats, Floats, Floats]:
    """Ratings less what an average attentive listener would give, quality, and variance. (N,)"""
    pair, pairs = ratings.pair, ratings.pairs
    score = ratings.score.astype(np.float64, copy=False)
    weight = np.maximum(1 - careless, LEAST)[ratings.listener]  # (N,)
    total = rating_arrays.group_sums(pair, weight, pairs)  # (P,)
    summed = rating_arrays.group_sums(pair, weight * score, pairs)
    mean = (summed / np.maximum(total, LEAST))[pair]  # (N,)
    own = rating_arrays.group_sums(pair, weight**2, pairs) / np.maximum(total, LEAST)
    within = float(np.sum(weight * (score - mean) ** 2) / np.sum(total - own))
    within = max(within, ROUNDING)
    center = float(np.sum(weight * score) / np.sum(weight))
    quality = float(np.sum(weight * (score - center) ** 2) / np.sum(weight)) - within
    quality = max(quality, ROUNDING)
    others = np.maximum(total[pair] - weight, 0.0)  # (N,) W
    rest = (summed[pair] - weight * score) - center * others  # W (o - mu)
    known = quality / (quality * others + within)  # k / W
    noise = max(within - spread, ROUNDING)
    return score - center - known * rest, known * rest, noise + quality * (1 - known * others)


def _habit(ratings: RatingArrays, careless: Floats) -> tuple[Floats, Floats, Floats]:
    """Ratings less the careless listeners' mean, no quality, and the variance of all. 3 x (N,)"""
    weight = np.maximum(careless, LEAST)[ratings.listener]
    score = ratings.score.astype(np.float64, copy=False)
    deviation = score - float(np.sum(weight * score) / np.sum(weight))
    variance = max(float(np.var(score)), ROUNDING)
    return deviation, np.zeros(len(score)), np.full(len(score), variance)


def _explained(
    listener: NDArray[np.int32],
    deviation: Floats,
    quality: Floats,
    variance: Floats,
    kind: _Kind,
    size: int,
) -> _Explained:
    """deviation = constant N(0, spread) + N(0, slope) * quality + noise N(0, g * variance).

    Both random effects have a normal posterior; determinant and inverse are those of 2 x 2.
    """
    count = rating_arrays.group_counts(listener, size)
    logs = rating_arrays.group_sums(listener, np.log(2 * np.pi * variance), size)  # (L,)
    squares = rating_arrays.group_sums(listener, deviation**2 / variance, size)
    factor = GRID[:, None]  # (G, 1)
    one = kind.spread * rating_arrays.group_sums(listener, 1 / variance, size) / factor  # (G, L)
    two = kind.slope * rating_arrays.group_sums(listener, quality**2 / variance, size) / factor
    cross = rating_arrays.group_sums(listener, quality / variance, size) / factor
    level = rating_arrays.group_sums(listener, deviation / variance, size) / factor
    tilt = rating_arrays.group_sums(listener, deviation * quality / variance, size) / factor
    determinant = (1 + one) * (1 + two) - kind.spread * kind.slope * cross**2
    bias = kind.spread * ((1 + two) * level - kind.slope * cross * tilt) / determinant
    scale = kind.slope * ((1 + one) * tilt - kind.spread * cross * level) / determinant
    exponent = squares / factor - bias * level - scale * tilt
    likelihood = -0.5 * (logs + count * np.log(factor) + np.log(determinant) + exponent)
    joint = likelihood + np.log(kind.noise)[:, None]
    evidence = logsumexp(joint, axis=0)  # (L,)
    factors = np.exp(joint - evidence)
    return _Explained(
        evidence=evidence,
        factors=factors,
        squares=(factors * (bias**2 + kind.spread * (1 + two) / determinant)).sum(axis=0),
        slopes=(factors * (scale**2 + kind.slope * (1 + one) / determinant)).sum(axis=0),
    )


def _kind(explained: _Explained, weight: Floats, start: Floats) -> _Kind:
    """The parameters most likely for listeners of these weights, and a little of what was."""
    total = float(weight.sum())
    noise = explained.factors @ weight + start / start.sum()
    return _Kind(
        spread=float(explained.squares @ weight + SPREAD) / (total + 1),
        slope=float(explained.slopes @ weight + SLOPE * SLOPES) / (total + SLOPES),
        noise=noise / noise.sum(),
    )
