"""Targets of every split and statistics of listeners: all that stage `standardize` computes."""

import dataclasses
import math
from dataclasses import dataclass

import pandas as pd

from soundjudge.data.tables.schema import Table
from soundjudge.data.tables.tables import TARGETS
from soundjudge.labels.ratings import latent, panel, variance_components
from soundjudge.labels.ratings.config import LatentConfig, Shrinkage, Standardization
from soundjudge.labels.ratings.latent import LatentFit
from soundjudge.labels.ratings.listeners import (
    ListenerScales,
    build_targets,
    listener_scales,
    pair_scores,
)
from soundjudge.labels.ratings.rating_arrays import PAIR, RatingArrays, pairs_of, rating_arrays

SPLITS = ("train", "validation")
LATENT_LISTENERS = Table(
    name="latent listeners",
    columns={
        "listener_id": "str",
        "split": "str",
        "bias": "float",  # rating points
        "scale": "float",  # 1 = the panel's
        "noise": "float",  # rating points
        "ratings": "int",
    },
    key=("listener_id", "split"),
)


@dataclass(frozen=True, kw_only=True)
class StandardizationResult:
    """Scales of listeners, targets and latent fits."""

    scales: ListenerScales  # of train
    targets: dict[str, pd.DataFrame]  # a TARGETS table of each split
    latent: dict[str, LatentFit]  # of each split


def standardize_splits(ratings: pd.DataFrame, config: Standardization) -> StandardizationResult:
    """Targets of train by each listener's own scale, of validation by train's global statistics.

    The published code gives every validation listener the global statistics. The latent model is
    fitted to each split separately: their listeners are different people, and no training may see
    validation, nor may validation be measured by the statistics of training.
    """
    parts = {split: ratings[ratings["split"] == split] for split in SPLITS}
    panel.check_listeners(rating_arrays(parts["train"]), "training ratings")
    scales = listener_scales(parts["train"], config.shrinkage)
    listeners = {"train": scales.listeners, "validation": scales.listeners.iloc[:0]}
    fits = {split: latent.fit_latent(part, config.latent) for split, part in parts.items()}
    targets = {}
    for split, part in parts.items():
        table, scores = build_targets(part, listeners[split], scales.overall), fits[split].pairs
        assert scores[PAIR].equals(table[PAIR]), "the latent model has other pairs"
        targets[split] = table.assign(**scores.drop(columns=PAIR))
    return StandardizationResult(scales=scales, targets=targets, latent=fits)


def pair_targets(
    table: pd.DataFrame,
    ratings: RatingArrays,
    reference: RatingArrays,
    shrinkage: Shrinkage,
    config: LatentConfig | None,
    *,
    shrink_means: bool,
    where: str = "ratings",
) -> pd.DataFrame:
    """A TARGETS table of the rows of `table`, which `ratings` are, by the scales of `reference`.

    With the latent scores if they have a `config`, from `ratings` alone; `shrink_means` makes
    mean_score the shrunken mean. SoundjudgeError, which starts with `where`, if every rating of
    `reference` has a listener of its own.
    """
    panel.check_listeners(reference, where)
    scales = listener_scales(reference, shrinkage)
    scores = pair_scores(ratings, scales.listeners, scales.overall)
    if config is not None:
        estimate = latent.estimate_latent(ratings, config)
        scores = scores.assign(latent_score=estimate.score, latent_se=estimate.error)
    if shrink_means:
        scores = scores.assign(mean_score=variance_components.shrunken_means(ratings))
    targets = pairs_of(table, ratings).join(scores)
    return targets[[name for name in TARGETS.columns if name in targets]]


def latent_listeners(result: StandardizationResult) -> pd.DataFrame:
    """A LATENT_LISTENERS table."""
    parts = [fit.listeners.assign(split=split) for split, fit in result.latent.items()]
    return pd.concat(parts, ignore_index=True)


def shrinkage_summary(scales: ListenerScales) -> dict[str, float | None]:
    """The prior of the shrinkage; the strengths `ratings` and `dof` are None if infinite."""
    if scales.prior is None:
        return {"ratings": 0.0, "dof": 0.0}
    values: dict[str, float] = dataclasses.asdict(scales.prior)
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def summarize_targets(result: StandardizationResult) -> dict[str, object]:
    """The metrics of standardization."""
    listeners, overall = result.scales.listeners, result.scales.overall
    metrics: dict[str, object] = {
        "listeners": len(listeners),
        "ratings_per_listener": float(listeners["ratings"].mean()),
        "global_mean": overall.mean,
        "global_std": overall.std,
    }
    for split in SPLITS:
        table, fit = result.targets[split], result.latent[split]
        metrics[f"{split}_pairs"] = len(table)
        metrics[f"{split}_mean_score"] = float(table["mean_score"].mean())
        metrics[f"{split}_latent"] = {
            "log_likelihood": fit.log_likelihood[-1],
            "iterations": len(fit.log_likelihood),
            "converged": fit.converged,
            "quality_sd": fit.prior.quality**0.5,
            "bias_sd": fit.prior.bias**0.5,
            "noise": fit.panel.noise**0.5,
            "mean_se": float(table["latent_se"].mean()),
        }
    return metrics
