"""Agreement over generators, within them and within texts, and on slices of the pairs.

N = pairs, G = groups, R = resamples.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from soundjudge.reporting import metrics, resampling
from soundjudge.scoring.evaluation import systems
from soundjudge.scoring.evaluation.systems import Numbers, SystemComparison

# A correlation between fewer generators, or within fewer pairs, would tell nothing.
MIN_GENERATORS, MIN_PAIRS, MIN_PAIRS_OF_TEXT = 3, 10, 3
CAPTION_WORDS = (0, 5, 10, 15, np.inf)  # edges: a caption of 5 words is of the first band
RATING_BANDS = (0, 2, 4, 6, 8, 10)  # edges: a rating of 2 is of the second band
# What joins two events of a caption; "and then" and ", while" join once.
CONNECTIVE = re.compile(
    r"(?:,|\band\b|\bthen\b|\bwhile\b|\bas\b|\bbefore\b|\bafter\b|\bfollowed by\b|\W)+", re.I
)
# A model_id of natural recordings, whole: "real", "ground_truth", "Natural sounds", "recording 2".
# The names in XACLE 2027 are not verified: complete this where they differ.
NATURAL = re.compile(
    r"(?:natural|real|original|reference|recorded|recordings?|ground[\W_]*truth|gt)"
    r"[\W_]*(?:audio|sounds?|clips?|recordings?)?[\W_]*\d*",
    re.I,
)
MANY_EVENTS = 3  # and more: one slice
SLICE_COLUMNS = (
    "slice", "value", "pairs",
    *(f"{m}{end}" for m in (*systems.METRICS, "bias") for end in ("", "_lo", "_hi")),
)  # fmt: skip


def group_metrics(comparison: SystemComparison, system: str) -> Numbers:
    """What generators and repeated texts allow, each with _lo and _hi.

    generator_srcc: of the generators' mean scores against their mean ratings.
    within_generator_srcc, within_text_srcc: the mean over generators, over texts, of the SRCC of
    the pairs within one.
    """
    row: Numbers = {}
    frame = comparison.frame
    if _distinct(frame, "model_id") >= MIN_GENERATORS:
        row |= generator_srcc(comparison, system)
    for name, key in (("model_id", "within_generator_srcc"), ("text", "within_text_srcc")):
        if _distinct(frame, name) > 1:
            row |= _within_srcc(comparison, system, name, key)
    return row


def generator_srcc(comparison: SystemComparison, system: str) -> Numbers:
    """SRCC between generators by their means, with its interval."""
    frame = comparison.frame
    codes, names = pd.factorize(frame["model_id"])  # -1 where there is none
    member = np.equal.outer(codes, np.arange(len(names))).astype(np.float64)  # (N, G)
    columns = frame[[system, "average_score"]].to_numpy(dtype=np.float64)
    draws = []
    for weights in comparison.blocks():
        count = weights @ member  # (rows, G)
        with np.errstate(invalid="ignore"):  # a generator that was not drawn
            means = [(weights * values) @ member / count for values in columns.T]
        draws.append(_row_correlations(*means))
    own = frame.groupby("model_id")[[system, "average_score"]].mean()
    value = metrics.srcc(own[system], own["average_score"])
    return {"generator_srcc": value} | comparison.interval("generator_srcc", np.concatenate(draws))


def slices(comparison: SystemComparison, system: str) -> pd.DataFrame:
    """A row per generator, source, caption length, number of events and band of ratings.

    Columns: SLICE_COLUMNS. Source is natural or synthetic, where generators have names of both.

    `bias` is the mean of score minus rating. Correlations and all intervals are empty where a slice
    has fewer than MIN_PAIRS pairs or no spread. Within a band of ratings correlations are low by
    its narrow range.
    """
    rows = []
    for name, value, mask in _slice_masks(comparison.frame):
        if not mask.any():
            continue
        part = comparison.frame[mask]
        error = part[system] - part["average_score"]
        row = {"slice": name, "value": value, "pairs": len(part), "bias": float(error.mean())}
        if len(part) >= MIN_PAIRS and part[system].nunique() > 1 < part["average_score"].nunique():
            resampled = _part(comparison, system, part)
            numbers = systems.metrics_with_intervals(resampled, system)
            numbers |= resampled.interval("bias", _mean_draws(resampled, error))
            row |= {key: numbers[key] for key in SLICE_COLUMNS if key in numbers}
        else:
            row["mse"] = float((error**2).mean())
        rows.append(row)
    return pd.DataFrame(rows, columns=list(SLICE_COLUMNS))


def _mean_draws(comparison: SystemComparison, values: pd.Series) -> NDArray[np.float64]:
    """The mean of values (N,) in each resample. (R,)"""
    column = values.to_numpy(dtype=np.float64)[:, None]
    blocks = (weights.T.astype(np.float64) for weights in comparison.blocks())
    return np.concatenate([resampling.weighted_means(column, block)[:, 0] for block in blocks])


def _part(
    comparison: SystemComparison, system: str, part: pd.DataFrame, number: int = 0
) -> SystemComparison:
    """The system on some pairs, resampled among themselves by the clusters that remain.

    Parts of other numbers are resampled independently.
    """
    kept = [name for name in ("text", "model_id") if _distinct(part, name) > 1]
    config, cluster = comparison.config, comparison.config.cluster
    if cluster == "both" and len(kept) < 2:
        cluster = "text" if kept == ["text"] else "model_id" if kept else "none"
    elif cluster not in ("none", "both", *kept):
        cluster = "none"
    config = replace(config, seed=config.seed + number, cluster=cluster)
    return systems.compare_systems(part, [system], config)


def _within_srcc(comparison: SystemComparison, system: str, name: str, key: str) -> Numbers:
    """The mean SRCC within groups; generators are resampled inside, texts as wholes."""
    smallest = MIN_PAIRS if name == "model_id" else MIN_PAIRS_OF_TEXT
    parts = [
        part
        for _, part in comparison.frame.groupby(name, sort=True)
        if len(part) >= smallest and part[system].nunique() > 1 < part["average_score"].nunique()
    ]
    if len(parts) < 2:
        return {}
    own = np.array([metrics.srcc(part[system], part["average_score"]) for part in parts])
    if name == "model_id":
        within = [
            _part(comparison, system, part, number).draws.srcc[:, 0]
            for number, part in enumerate(parts)
        ]
        draws = np.mean(within, axis=0)
    else:
        config = comparison.config
        blocks = resampling.resample_weights(len(own), config.resamples, seed=config.seed)
        draws = np.concatenate([weights @ own / len(own) for weights in blocks])
    return {key: float(own.mean())} | comparison.interval(key, draws)


def _slice_masks(frame: pd.DataFrame) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """What pairs are sliced by, a value of it, and which pairs have that, if any. (N,) each"""
    if _distinct(frame, "model_id") > 1:
        for name in sorted(frame["model_id"].dropna().unique()):
            yield "generator", name, (frame["model_id"] == name).to_numpy()
        natural = frame["model_id"].map(is_natural, na_action="ignore")
        if natural.nunique() > 1:
            yield "source", "natural", natural.eq(True).to_numpy()
            yield "source", "synthetic", natural.eq(False).to_numpy()
    if "text" in frame:
        words = np.array([len(text.split()) for text in frame["text"]])
        for low, high in pairwise(CAPTION_WORDS):
            label = f"{low + 1:g} to {high:g} words" if np.isfinite(high) else f"over {low:g} words"
            yield "caption length", label, (words > low) & (words <= high)
        events = np.array([min(count_events(text), MANY_EVENTS) for text in frame["text"]])
        for count in range(1, MANY_EVENTS + 1):
            label = f"{count} or more" if count == MANY_EVENTS else f"{count}"
            yield "events named", label, events == count
    rating = frame["average_score"].to_numpy()
    for low, high in pairwise(RATING_BANDS):
        inside = (rating >= low) & ((rating < high) | (high == RATING_BANDS[-1]))
        yield "mean rating", f"{low} to {high}", inside


def is_natural(model_id: str) -> bool:
    """Whether a generator's name says that its sounds are natural recordings."""
    return NATURAL.fullmatch(model_id) is not None


def count_events(text: str) -> int:
    """How many events a caption names, by the words that join them: an estimate, 1 or more."""
    joints = CONNECTIVE.findall(text.strip(" .,"))
    return 1 + sum(1 for joint in joints if re.search(r"[\w,]", joint))


def _distinct(frame: pd.DataFrame, name: str) -> int:
    return int(frame[name].nunique()) if name in frame else 0


def _row_correlations(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """SRCC of each row (R, G) over the groups in its resample; NaN for fewer than three."""
    result = np.full(len(x), np.nan)
    present = ~np.isnan(x)  # (R, G)
    for columns in np.unique(present, axis=0):
        rows = (present == columns).all(axis=1)
        if columns.sum() < MIN_GENERATORS:
            continue
        ranks = [stats.rankdata(v[rows][:, columns], axis=1) for v in (x, y)]
        first, second = (r - r.mean(axis=1, keepdims=True) for r in ranks)
        spread = (first**2).sum(axis=1) * (second**2).sum(axis=1)
        with np.errstate(invalid="ignore"):
            result[rows] = (first * second).sum(axis=1) / np.sqrt(spread)
    return result
