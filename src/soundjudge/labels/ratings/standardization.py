"""Targets of every split: what the standardize stage learns and makes.

L = listeners.
"""

import dataclasses
import math
from dataclasses import dataclass

import pandas as pd

from soundjudge.data.tables.schema import Table
from soundjudge.labels.ratings import latent, shrinkage
from soundjudge.labels.ratings.latent import LatentConfig, LatentFit
from soundjudge.labels.ratings.listeners import ListenerScales, build_targets, listener_scales
from soundjudge.labels.ratings.rating_arrays import PAIR
from soundjudge.labels.ratings.shrinkage import Shrinkage

SPLITS = ("train", "validation")
LATENT_LISTENERS = Table(
    name="latent listeners",
    columns={
        "listener_id": "str",
        "split": "str",
        "bias": "float",  # rating points
        "scale": "float",  # 1 = as the panel
        "noise": "float",  # rating points
        "ratings": "int",
    },
    key=("listener_id", "split"),
)


@dataclass(frozen=True, kw_only=True)
class Standardization:
    """Section `standardize` of params.yaml: how listeners are put on one scale."""

    shrinkage: Shrinkage
    latent: LatentConfig

    def __post_init__(self) -> None:
        shrinkage.check_strength(self.shrinkage)


@dataclass(frozen=True, kw_only=True)
class StandardizationResult:
    """All that standardization learns and makes."""

    scales: ListenerScales  # of train
    targets: dict[str, pd.DataFrame]  # a TARGETS table of each split
    latent: dict[str, LatentFit]  # of each split


def standardize_splits(
    ratings: pd.DataFrame, standardization: Standardization
) -> StandardizationResult:
    """Targets of train by each listener's own scale, of validation by train's global pair.

    The published code gives validation the global pair, whoever listened. The latent model is
    fitted to each split by itself: their listeners are different people, and neither may what is
    learned have seen validation, nor validation be judged by what was learned.
    """
    parts = {split: ratings[ratings["split"] == split] for split in SPLITS}
    made = listener_scales(parts["train"], standardization.shrinkage)
    known = {"train": made.listeners, "validation": made.listeners.iloc[:0]}
    fits = {split: latent.fit_latent(part, standardization.latent) for split, part in parts.items()}
    tables = {}
    for split, part in parts.items():
        table, scores = build_targets(part, known[split], made.overall), fits[split].pairs
        assert scores[PAIR].equals(table[PAIR]), "the latent model has other pairs"
        tables[split] = table.assign(**scores.drop(columns=PAIR))
    return StandardizationResult(scales=made, targets=tables, latent=fits)


def latent_listeners(made: StandardizationResult) -> pd.DataFrame:
    """A LATENT_LISTENERS table."""
    parts = [fit.listeners.assign(split=split) for split, fit in made.latent.items()]
    return pd.concat(parts, ignore_index=True)


def shrinkage_summary(made: ListenerScales) -> dict[str, float | None]:
    """How listeners were pulled; the strengths `ratings` and `freedom` are None if infinite."""
    if made.pull is None:
        return {"ratings": 0.0, "freedom": 0.0}
    numbers: dict[str, float] = dataclasses.asdict(made.pull)
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def summarize_targets(made: StandardizationResult) -> dict[str, object]:
    """The numbers of standardization that a person would look at."""
    listeners, overall = made.scales.listeners, made.scales.overall
    numbers: dict[str, object] = {
        "listeners": len(listeners),
        "ratings_per_listener": float(listeners["ratings"].mean()),
        "global_mean": overall.mean,
        "global_std": overall.std,
    }
    for split in SPLITS:
        table, fit = made.targets[split], made.latent[split]
        numbers[f"{split}_pairs"] = len(table)
        numbers[f"{split}_mean_score"] = float(table["mean_score"].mean())
        numbers[f"{split}_latent"] = {
            "log_likelihood": fit.log_likelihood[-1],
            "iterations": len(fit.log_likelihood),
            "converged": fit.converged,
            "quality_sd": fit.quality_sd,
            "bias_sd": fit.bias_sd,
            "noise": fit.noise,
            "mean_se": float(table["latent_se"].mean()),
        }
    return numbers
