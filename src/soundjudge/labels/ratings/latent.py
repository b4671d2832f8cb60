"""The latent-score model: the quality of each pair and the habits of each listener, together.

score = mean + bias_j + scale_j * (quality_i - mean) + noise_j * eps

The most probable habits under weak priors, the qualities integrated out: that of a pair is its
posterior mean, so pairs with few or noisy ratings lie nearer to the mean. Where ratings tell
nothing the priors decide: a listener with one rating is nearly the mean listener, one with equal
ratings for all pairs gets a small scale or a large noise and hardly counts, and pairs without
common listeners are compared as if their panels were on average alike. The scale is that of the
mean listener, careless ones included: with many of these it is narrower than that of the attentive.

P = pairs.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import latent_em
from soundjudge.labels.ratings.config import LatentConfig
from soundjudge.labels.ratings.latent_em import ListenerPanel
from soundjudge.labels.ratings.latent_priors import Priors, estimate_priors
from soundjudge.labels.ratings.rating_arrays import (
    Floats,
    RatingArrays,
    group_counts,
    pairs_of,
    rating_arrays,
)


@dataclass(frozen=True, kw_only=True)
class LatentEstimate:
    """Scores of pairs and habits of listeners, by pair and listener number."""

    score: Floats  # (P,) rating points
    error: Floats  # (P,) standard error
    panel: ListenerPanel
    prior: Priors
    log_likelihood: tuple[float, ...]  # penalized, one per iteration, never falling
    converged: bool


@dataclass(frozen=True, kw_only=True)
class LatentFit(LatentEstimate):
    """The same as tables; everything but the scale in rating points."""

    pairs: pd.DataFrame  # wav_file_name, text, latent_score, latent_se; in order of appearance
    listeners: pd.DataFrame  # listener_id, bias, scale, noise, ratings; sorted by listener


def fit_latent(ratings: pd.DataFrame, config: LatentConfig) -> LatentFit:
    """The model of ratings (wav_file_name, text, listener_id, score), which are one split.

    A score may lie a little outside of 0 to 10: a strict listener's 10 is worth more. latent_se is
    that of normal noise: where ratings are cut at the ends of the scale it is too small
    (benchmarks/intervals.md, and `library.standardize` in figures); as a weight only ratios count.
    `converged` is false if max_iterations ended the fit. Raises SoundjudgeError.
    """
    arrays = rating_arrays(ratings)
    if not len(arrays.score) or not np.isfinite(arrays.score).all():
        raise SoundjudgeError("the latent model needs ratings, each a finite number")
    estimate = estimate_latent(arrays, config)
    pairs = pairs_of(ratings, arrays)
    panel = estimate.panel
    listeners = pd.DataFrame(
        {
            "listener_id": arrays.listener_ids,
            "bias": panel.level - panel.mean,
            "scale": panel.scale,
            "noise": np.sqrt(panel.variance),
            "ratings": group_counts(arrays.listener, arrays.num_listeners).astype(np.int64),
        }
    )
    listeners = listeners[listeners["ratings"] > 0]  # a category may have no row
    return LatentFit(
        **vars(estimate),
        pairs=pairs.assign(latent_score=estimate.score, latent_se=estimate.error),
        listeners=listeners.sort_values("listener_id", ignore_index=True),
    )


def estimate_latent(ratings: RatingArrays, config: LatentConfig) -> LatentEstimate:
    """The model of ratings by number; an iteration takes time and memory of order N."""
    prior = estimate_priors(ratings, config)
    sums = latent_em.sum_ratings(ratings)
    panel = latent_em.initial_panel(ratings, prior)
    log_likelihood: list[float] = []
    while True:
        qualities = latent_em.e_step(sums, panel, prior)
        log_likelihood.append(qualities.log_likelihood + latent_em.log_prior(panel, prior))
        if not np.isfinite(log_likelihood[-1]):
            raise SoundjudgeError(
                "the latent model has no finite likelihood: report these ratings as a bug"
            )
        gain = log_likelihood[-1] - log_likelihood[-2] if len(log_likelihood) > 1 else np.inf
        converged = bool(gain <= config.tolerance * max(1.0, abs(log_likelihood[-1])))
        if converged or len(log_likelihood) == config.max_iterations:
            break
        panel = latent_em.m_step(sums, qualities, panel, prior)
    return LatentEstimate(
        score=panel.mean + qualities.mean,
        error=latent_em.standard_errors(sums, qualities, panel, prior),
        panel=panel,
        prior=prior,
        log_likelihood=tuple(log_likelihood),
        converged=converged,
    )
