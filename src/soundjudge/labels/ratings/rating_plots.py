"""Pictures of ratings for people: who rated how, what screening dropped, what that did.

P = pairs, L = listeners.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from soundjudge.labels.ratings import listener_indicators, rating_arrays, screening
from soundjudge.reporting import plotting

COLORS = {
    "kept": "tab:blue",
    "isolated": "tab:orange",
    "careless": "tab:red",
    "constant": "tab:purple",
}
"""Of `screening.REASONS`."""
MEASURES = {
    "icc": "ICC(1,1)",
    "alpha": "Krippendorff's alpha",
    "split_half": "split-half",
    "ceiling_srcc": "SRCC ceiling",
    "ceiling_lcc": "LCC ceiling",
    "ceiling_ktau": "KTAU ceiling",
}
HALF_POINTS = np.arange(-0.25, 10.5, 0.5)  # whole and half ratings get a bar each
MOST_POINTS = 5000  # listeners drawn one by one: more are a blot


def plot_ratings(
    before: pd.DataFrame, dropped: pd.DataFrame, rules: screening.Screening, note: str
) -> Figure:
    """Kept and dropped ratings by score, and how far apart the ratings of a pair lie."""
    figure = plotting.create_figure(9, 3.6, "Ratings before and after screening", note)
    by_score, by_range = figure.subplots(1, 2)

    gone = dropped.groupby("reason")["score"]
    counts = {str(reason): np.histogram(part, HALF_POINTS)[0] for reason, part in gone}
    everything = np.histogram(before["score"], HALF_POINTS)[0]
    counts = {"kept": everything - sum(counts.values())} | counts
    _stacked(by_score, HALF_POINTS, counts)
    by_score.set(xlabel="rating (0 to 10)", ylabel="ratings")

    spread = before.groupby(rating_arrays.pair_codes(before))["score"].agg(["min", "max"])  # (P, 2)
    by_range.hist(spread["max"] - spread["min"], bins=HALF_POINTS, color="tab:gray")
    if rules.method in ("rating", "both"):
        by_range.axvline(rules.tolerance, color="tab:red", label="tolerance")
        by_range.legend()
    by_range.set(xlabel="largest minus smallest rating of a pair (points)", ylabel="pairs")
    return figure


def plot_listeners(before: pd.DataFrame, judged: pd.DataFrame, note: str) -> Figure:
    """Ratings a listener, and listeners' bias against their scale.

    `judged` is the table of `screening.listeners` about the same ratings.
    """
    figure = plotting.create_figure(9, 3.8, "Listeners", note)
    by_count, by_habit = figure.subplots(1, 2)

    edges = np.unique(np.linspace(0.5, judged["ratings"].max() + 0.5, 31).round()) + 0.5
    verdicts = [name for name in COLORS if (judged["verdict"] == name).any()]
    parts = {name: judged[judged["verdict"] == name] for name in verdicts}
    _stacked(
        by_count,
        edges,
        {name: np.histogram(part["ratings"], edges)[0] for name, part in parts.items()},
    )
    by_count.set(xlabel="ratings of a listener", ylabel="listeners")
    by_count.xaxis.get_major_locator().set_params(integer=True)

    drawn = listener_habits(before).merge(judged, on=["listener_id", "split"])
    every = -(-len(drawn) // MOST_POINTS)
    drawn = drawn.iloc[::every]
    for name in verdicts:
        part = drawn[drawn["verdict"] == name]
        size = 40 * part["ratings"] / judged["ratings"].max()
        by_habit.scatter(part["bias"], part["scale"], size, COLORS[name], alpha=0.5, linewidths=0)
    by_habit.axvline(0, color="tab:gray", linewidth=0.8)
    share = "" if every == 1 else f"; 1 of {every} drawn"
    by_habit.set(
        xlabel=f"bias: mean distance from the others (points{share})",
        ylabel="scale: std of a listener's ratings",
    )
    return figure


def plot_agreement(numbers: Mapping[str, Mapping[str, float]], note: str) -> Figure:
    """Before and after, a panel for each split of `effect.before_and_after`."""
    figure = plotting.create_figure(
        4.5 * len(numbers), 3.6, "Agreement before and after screening", note
    )
    axes = np.atleast_1d(figure.subplots(1, len(numbers), sharey=True, sharex=True))
    heights = range(len(MEASURES) - 1, -1, -1)  # the first on top
    lowest = min([0.0, *(v for found in numbers.values() for v in _measured(found).values())])
    for panel, (split, found) in zip(axes, numbers.items(), strict=True):
        measured = _measured(found)
        for height, name in zip(heights, MEASURES, strict=True):
            ends = [measured.get(f"{name}_{when}") for when in ("before", "after")]
            _change(panel, ends[0], ends[1], height)
        panel.set_yticks(heights, list(MEASURES.values()))
        panel.set(title=split, xlim=(lowest - 0.02, 1.02), ylim=(-0.6, len(MEASURES) - 0.4))
        panel.grid(axis="x", alpha=0.3)
    axes[0].plot([], [], "o", color="tab:blue", fillstyle="none", label="before")
    axes[0].plot([], [], "o", color="tab:blue", label="after")
    axes[0].legend(loc="lower left")
    figure.supxlabel("it rises whenever disagreement is dropped: no proof of better labels", size=8)
    return figure


def listener_habits(ratings: pd.DataFrame) -> pd.DataFrame:
    """listener_id, split, bias and scale of every listener of every split, in points.

    Bias is the mean distance from the mean of the others' ratings of the same pairs, NaN without
    others; scale is the sample std, NaN for one rating.
    """
    parts = []
    for split, part in ratings.groupby("split", sort=False):
        others, known = listener_indicators.leave_one_out_means(rating_arrays.rating_arrays(part))
        distance = (part["score"] - others).where(known)
        each = part.assign(distance=distance).groupby("listener_id", observed=True)
        table = each.agg(bias=("distance", "mean"), scale=("score", "std")).reset_index()
        parts.append(table.assign(split=split))
    return pd.concat(parts, ignore_index=True)


def _stacked(
    axes: Axes, edges: NDArray[np.float64], counts: Mapping[str, NDArray[np.integer[Any]]]
) -> None:
    heap = np.zeros(len(edges) - 1)
    for name, values in counts.items():
        axes.stairs(heap + values, edges, baseline=heap, fill=True, color=COLORS[name], label=name)
        heap = heap + values
    axes.set_ylim(0, 1.2 * max(heap.max(), 1))  # the legend stands above the bars
    axes.legend(loc="upper center", ncols=len(counts))


def _measured(numbers: Mapping[str, float]) -> dict[str, float]:
    names = [f"{name}_{when}" for name in MEASURES for when in ("before", "after")]
    return {name: numbers[name] for name in names if name in numbers}


def _change(axes: Axes, before: float | None, after: float | None, height: int) -> None:
    if before is not None and after is not None:
        axes.plot([before, after], [height, height], color="tab:blue", linewidth=1)
    if before is not None:
        axes.plot(before, height, "o", color="tab:blue", fillstyle="none")
    if after is not None:
        axes.plot(after, height, "o", color="tab:blue")
