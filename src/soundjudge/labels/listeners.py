"""Ratings in, training targets out: screening, listener statistics, standardization.

The method is that of SPO-CLAPScore (arXiv 2601.02900), computed as in its published code.

N = ratings. A pair is a (wav_file_name, text); scores are 0 to 10.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data import tables
from soundjudge.data.schema import Table

DROPPED = Table(
    name="dropped",
    columns={**tables.RATINGS.columns, "pair_lost": "bool"},
    key=tables.RATINGS.key,
    nullable=tables.RATINGS.nullable,
)

PAIR = ["wav_file_name", "text"]


class LabelError(ValueError):
    """Ratings or settings from which no honest label follows."""


@dataclass(frozen=True, kw_only=True)
class Screening:
    """Which ratings are trusted."""

    method: Literal["rating", "none"]
    tolerance: float  # rating points
    splits: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.tolerance < 0:
            raise LabelError(f"tolerance is {self.tolerance}: choose 0 or more rating points")
        unknown = sorted(set(self.splits) - {"train", "validation"})
        if unknown:
            raise LabelError(f"splits has {unknown[0]!r}: only train and validation are screened")


@dataclass(frozen=True, kw_only=True)
class Standardization:
    """How listeners are put on one scale."""

    shrinkage: float  # ratings' worth of pull towards the global pair; 0 = as published

    def __post_init__(self) -> None:
        if self.shrinkage < 0:
            raise LabelError(f"shrinkage is {self.shrinkage}: choose 0 or more ratings")


@dataclass(frozen=True, kw_only=True)
class GlobalStatistics:
    """The scale of a listener of whom nothing is known."""

    mean: float
    std: float


def pair_numbers(ratings: pd.DataFrame) -> NDArray[np.intp]:
    """The number of each rating's pair, in order of first appearance. (N,)"""
    return np.asarray(ratings.groupby(PAIR, sort=False).ngroup(), dtype=np.intp)


def agreeing(ratings: pd.DataFrame, tolerance: float) -> NDArray[np.bool_]:
    """True where at least one other rating of the same pair lies within `tolerance` points. (N,)

    Within a pair, the nearest other rating is a neighbour in sorted order, so looking at neighbours
    is enough. Closeness is mutual: screening what was screened drops nothing more.
    """
    pair = pair_numbers(ratings)
    score = ratings["score"].to_numpy(dtype=np.float64)
    order = np.lexsort((score, pair))
    close = (np.diff(pair[order]) == 0) & (np.diff(score[order]) <= tolerance)  # (N-1,)
    kept = np.zeros(len(ratings), dtype=np.bool_)
    kept[order[:-1]] |= close
    kept[order[1:]] |= close
    return kept


def trusted(ratings: pd.DataFrame, screening: Screening) -> NDArray[np.bool_]:
    """True where a rating stays; the splits that are not screened stay whole. (N,)"""
    kept = np.ones(len(ratings), dtype=np.bool_)
    if screening.method == "none":
        return kept
    for split in screening.splits:
        rows = (ratings["split"] == split).to_numpy(dtype=np.bool_)
        kept[rows] = agreeing(ratings[rows], screening.tolerance)
    return kept


def screen(ratings: pd.DataFrame, screening: Screening) -> pd.DataFrame:
    """The trusted ratings, order and columns kept; LabelError if a split loses all of its own."""
    kept = ratings[trusted(ratings, screening)]
    lost = sorted(set(ratings["split"]) - set(kept["split"]))
    if lost:
        raise LabelError(
            f"no two ratings of any {lost[0]} pair lie within {screening.tolerance:g} points: "
            "raise screen.tolerance or set screen.method to none"
        )
    return kept.reset_index(drop=True)


def dropped(ratings: pd.DataFrame, screening: Screening) -> pd.DataFrame:
    """The other ratings, with `pair_lost`: true where no rating of the pair is left."""
    kept = trusted(ratings, screening)
    left = pd.Series(kept, index=ratings.index).groupby(pair_numbers(ratings)).transform("any")
    return ratings.assign(pair_lost=~left.astype(bool))[~kept].reset_index(drop=True)


def statistics(ratings: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample std of every listener, as a LISTENERS table sorted by listener.

    The std of a listener with one rating, or with one opinion, is taken as 1.
    """
    table = ratings.groupby("listener_id")["score"].agg(["mean", "std", "min", "max", "size"])
    undefined = table["std"].isna() | (table["min"] == table["max"])
    table["std"] = table["std"].mask(undefined, 1.0)
    return table.reset_index().rename(columns={"size": "ratings"})[
        ["listener_id", "mean", "std", "ratings"]
    ]


def global_statistics(listeners: pd.DataFrame) -> GlobalStatistics:
    """Mean of the listeners' means, and root of the mean of their variances."""
    if listeners.empty:
        raise LabelError("there is no training listener: standardization needs training ratings")
    variance = float(np.mean(listeners["std"].to_numpy(dtype=np.float64) ** 2))
    return GlobalStatistics(mean=float(listeners["mean"].mean()), std=variance**0.5)


def shrunken(listeners: pd.DataFrame, overall: GlobalStatistics, shrinkage: float) -> pd.DataFrame:
    """Listeners pulled towards the global pair as if by `shrinkage` more ratings from there.

    With a dozen ratings a listener, mean and std are noisy: this is the usual remedy.
    """
    if shrinkage == 0:
        return listeners
    count = listeners["ratings"].to_numpy(dtype=np.float64)
    mean = (count * listeners["mean"] + shrinkage * overall.mean) / (count + shrinkage)
    pull = shrinkage / (count - 1 + shrinkage)
    variance = (1 - pull) * listeners["std"] ** 2 + pull * overall.std**2
    return listeners.assign(mean=mean, std=np.sqrt(variance))


def standardized(
    ratings: pd.DataFrame, listeners: pd.DataFrame, overall: GlobalStatistics
) -> NDArray[np.float64]:
    """(score - mean) / std; a listener not in `listeners` takes the global pair. (N,)"""
    known = listeners.set_index("listener_id")
    mean = ratings["listener_id"].map(known["mean"]).fillna(overall.mean)
    std = ratings["listener_id"].map(known["std"]).fillna(overall.std)
    return ((ratings["score"] - mean) / std).to_numpy(dtype=np.float64)


def targets(
    ratings: pd.DataFrame, listeners: pd.DataFrame, overall: GlobalStatistics
) -> pd.DataFrame:
    """A TARGETS table, pairs in order of first appearance; `split` is there if ratings have it."""
    scored = ratings.assign(spo_score=standardized(ratings, listeners, overall))
    columns = {"mean_score": ("score", "mean"), "spo_score": ("spo_score", "mean")}
    columns |= {"ratings": ("score", "size")}
    if "split" in ratings:
        columns |= {"split": ("split", "first")}
    return scored.groupby(PAIR, sort=False).agg(**columns).reset_index()


@dataclass(frozen=True, kw_only=True)
class Standards:
    """All that standardization learns and makes."""

    listeners: pd.DataFrame
    overall: GlobalStatistics
    train: pd.DataFrame
    validation: pd.DataFrame


def standards(ratings: pd.DataFrame, standardization: Standardization) -> Standards:
    """Targets of train by each listener's own statistics, of validation by train's global pair."""
    parts = {split: ratings[ratings["split"] == split] for split in ("train", "validation")}
    measured = statistics(parts["train"])
    overall = global_statistics(measured)
    listeners = shrunken(measured, overall, standardization.shrinkage)
    return Standards(
        listeners=listeners,
        overall=overall,
        train=targets(parts["train"], listeners, overall),
        # The published code gives validation the global pair, whoever listened.
        validation=targets(parts["validation"], listeners.iloc[:0], overall),
    )


def summary(made: Standards) -> dict[str, float]:
    """The numbers of standardization that a person would look at."""
    return {
        "train_pairs": len(made.train),
        "validation_pairs": len(made.validation),
        "listeners": len(made.listeners),
        "ratings_per_listener": float(made.listeners["ratings"].mean()),
        "global_mean": made.overall.mean,
        "global_std": made.overall.std,
        "train_mean_score": float(made.train["mean_score"].mean()),
        "validation_mean_score": float(made.validation["mean_score"].mean()),
    }
