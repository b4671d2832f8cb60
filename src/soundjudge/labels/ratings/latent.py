"""The latent-score model: the quality of each pair and the habits of each listener, together.

score = mean + bias_j + scale_j * (quality_i - mean) + noise_j * eps

The most probable habits under weak priors, the qualities integrated out: that of a pair is its
posterior mean, so pairs with few or noisy ratings lie nearer to the mean. Where ratings say
nothing the priors speak: a listener with one rating is nearly the mean listener, one with one
opinion for all gets a small scale or a large noise and hardly counts, and pairs without common
listeners are compared as if their panels were on average alike. The scale is that of the mean
listener, careless ones included: with many of these it is narrower than the attentive ones'.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import latent_em
from soundjudge.labels.ratings.latent_em import ListenerPanel
from soundjudge.labels.ratings.latent_priors import Priors, estimate_priors
from soundjudge.labels.ratings.rating_arrays import (
    PAIR,
    Floats,
    RatingArrays,
    first_rows,
    group_counts,
    rating_arrays,
)


@dataclass(frozen=True, kw_only=True)
class LatentConfig:
    """Priors of listeners, and when to stop."""

    scale_sd: float  # of a listener's scale around 1
    noise_prior_weight: float  # ratings' worth of pull of a listener's noise towards the panel's
    tolerance: float  # relative change of the penalized log likelihood
    max_iterations: int

    def __post_init__(self) -> None:
        for key in ("scale_sd", "noise_prior_weight", "tolerance"):
            if getattr(self, key) <= 0:
                raise SoundjudgeError(f"{key} is {getattr(self, key)}: choose a number above 0")
        if self.max_iterations < 1:
            raise SoundjudgeError(f"max_iterations is {self.max_iterations}: choose 1 or more")


@dataclass(frozen=True, kw_only=True)
class LatentFit:
    """What the model says of pairs and listeners; everything in rating points but the scale."""

    pairs: pd.DataFrame  # wav_file_name, text, latent_score, latent_se; in order of appearance
    listeners: pd.DataFrame  # listener_id, bias, scale, noise, ratings; sorted by listener
    mean: float  # quality of the mean pair; the biases have mean 0
    quality_sd: float
    bias_sd: float
    noise: float  # of a listener of whom nothing is known
    log_likelihood: tuple[float, ...]  # penalized, one an iteration, never falling
    converged: bool


@dataclass(frozen=True, kw_only=True)
class LatentEstimate:
    """The same on numbers."""

    score: Floats  # (P,)
    error: Floats  # (P,) standard error
    panel: ListenerPanel
    prior: Priors
    log_likelihood: tuple[float, ...]
    converged: bool


def fit_latent(ratings: pd.DataFrame, config: LatentConfig) -> LatentFit:
    """The model of ratings (wav_file_name, text, listener_id, score), which are one split.

    A score may lie a little outside of 0 to 10: a strict listener's 10 is worth more. `converged`
    is false if max_iterations ended the fit. Raises LabelError.
    """
    numbers = rating_arrays(ratings)
    if not len(numbers.score) or not np.isfinite(numbers.score).all():
        raise SoundjudgeError("the latent model needs ratings, each a finite number")
    found = estimate_latent(numbers, config)
    first = ratings[PAIR].iloc[first_rows(numbers.pair, numbers.pairs)].reset_index(drop=True)
    panel = found.panel
    listeners = pd.DataFrame(
        {
            "listener_id": numbers.names,
            "bias": panel.level - panel.mean,
            "scale": panel.scale,
            "noise": np.sqrt(panel.variance),
            "ratings": group_counts(numbers.listener, numbers.listeners).astype(np.int64),
        }
    )
    heard = listeners[listeners["ratings"] > 0]  # a category may have no row
    return LatentFit(
        pairs=first.assign(latent_score=found.score, latent_se=found.error),
        listeners=heard.sort_values("listener_id", ignore_index=True),
        mean=panel.mean,
        quality_sd=found.prior.quality**0.5,
        bias_sd=found.prior.bias**0.5,
        noise=panel.noise**0.5,
        log_likelihood=found.log_likelihood,
        converged=found.converged,
    )


def estimate_latent(ratings: RatingArrays, config: LatentConfig) -> LatentEstimate:
    """The model of numbered ratings, with time and memory of order N an iteration."""
    prior = estimate_priors(
        ratings, scale_sd=config.scale_sd, noise_prior_weight=config.noise_prior_weight
    )
    heard = latent_em.sum_ratings(ratings)
    panel = latent_em.initial_panel(ratings, prior)
    path: list[float] = []
    while True:
        found = latent_em.e_step(heard, panel, prior)
        path.append(found.log_likelihood + latent_em.log_prior(panel, prior))
        if not np.isfinite(path[-1]):
            raise SoundjudgeError("the latent model found no finite likelihood: report this panel")
        gain = path[-1] - path[-2] if len(path) > 1 else np.inf
        converged = bool(gain <= config.tolerance * max(1.0, abs(path[-1])))
        if converged or len(path) == config.max_iterations:
            break
        panel = latent_em.m_step(heard, found, panel, prior)
    return LatentEstimate(
        score=panel.mean + found.mean,
        error=latent_em.standard_errors(heard, found, panel, prior),
        panel=panel,
        prior=prior,
        log_likelihood=tuple(path),
        converged=converged,
    )
