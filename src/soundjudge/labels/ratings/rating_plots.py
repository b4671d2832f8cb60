"""Plots of ratings: listeners, dropped ratings, and the effect of screening.

P = pairs, L = listeners.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from soundjudge.labels.ratings import listener_indicators, rating_arrays
from soundjudge.labels.ratings.config import Screening
from soundjudge.reporting import plotting

COLORS = {
    "kept": "lightsteelblue",
    "isolated": "tab:orange",
    "careless": "tab:red",
    "straightlining": "black",
}
"""Of `screening.REASONS`, from light to dark, so that they differ in gray, too."""
MARKERS = {"kept": "o", "careless": "X", "straightlining": "s"}
MEASURES = {
    "icc": "ICC(1,1)",
    "alpha": "Krippendorff's alpha",
    "split_half": "split-half",
    "ceiling_srcc": "SRCC ceiling",
    "ceiling_lcc": "LCC ceiling",
    "ceiling_ktau": "KTAU ceiling",
}
HALF_POINTS = np.arange(-0.25, 10.5, 0.5)  # one bin for each whole and half point
MAX_POINTS = 5000  # listeners in a scatter plot: more cannot be told apart


def plot_ratings(
    before: pd.DataFrame, dropped: pd.DataFrame, rules: Screening, note: str
) -> Figure:
    """Kept and dropped ratings by score, and the ranges of the ratings of a pair."""
    figure = plotting.create_figure(9, 3.6, "Ratings before and after screening", note)
    by_score, by_range = figure.subplots(1, 2)

    by_reason = dropped.groupby("reason")["score"]
    counts = {str(reason): np.histogram(part, HALF_POINTS)[0] for reason, part in by_reason}
    total = np.histogram(before["score"], HALF_POINTS)[0]
    counts = {"kept": total - sum(counts.values())} | counts
    _plot_stacked(by_score, HALF_POINTS, counts)
    by_score.set(xlabel="rating (0 to 10)", ylabel="ratings")

    spread = before.groupby(rating_arrays.pair_codes(before))["score"].agg(["min", "max"])  # (P, 2)
    by_range.hist(spread["max"] - spread["min"], bins=HALF_POINTS, color="tab:gray")
    if rules.method in ("rating", "both"):
        by_range.axvline(rules.tolerance, color="tab:red", label="tolerance")
        by_range.legend()
    by_range.set(xlabel="largest minus smallest rating of a pair (points)", ylabel="pairs")
    return figure


def plot_listeners(before: pd.DataFrame, indicators: pd.DataFrame, note: str) -> Figure:
    """Ratings per listener, and listeners' bias against their scale.

    `indicators` is the table of `listener_indicators` of the same ratings.
    """
    figure = plotting.create_figure(9, 3.8, "Listeners", note)
    by_count, by_habit = figure.subplots(1, 2)

    edges = np.unique(np.linspace(0.5, indicators["ratings"].max() + 0.5, 31).round()) + 0.5
    verdicts = [name for name in COLORS if (indicators["verdict"] == name).any()]
    parts = {name: indicators[indicators["verdict"] == name] for name in verdicts}
    _plot_stacked(
        by_count,
        edges,
        {name: np.histogram(part["ratings"], edges)[0] for name, part in parts.items()},
    )
    by_count.set(xlabel="ratings of a listener", ylabel="listeners")
    by_count.xaxis.get_major_locator().set_params(integer=True)

    habits = listener_habits(before).merge(indicators, on=["listener_id", "split"])
    step = -(-len(habits) // MAX_POINTS)
    habits = habits.iloc[::step]
    for name in verdicts:
        part = habits[habits["verdict"] == name]
        size = 40 * part["ratings"] / indicators["ratings"].max()
        style = {"color": COLORS[name], "marker": MARKERS[name], "alpha": 0.7}
        by_habit.scatter(part["bias"], part["scale"], size, edgecolor="gray", **style)
    by_habit.axvline(0, color="tab:gray", linewidth=0.8)
    share = "" if step == 1 else f"; 1 of {step} drawn"
    by_habit.set(
        xlabel=f"bias: mean distance from the others (points{share})",
        ylabel="scale: std of a listener's ratings",
    )
    return figure


def plot_agreement(metrics: Mapping[str, Mapping[str, float]], note: str) -> Figure:
    """Agreement before and after, one panel for each split of `compare_screening`."""
    title = "Agreement before and after screening"
    figure = plotting.create_figure(4.5 * len(metrics), 3.6, title, note)
    axes = np.atleast_1d(figure.subplots(1, len(metrics), sharey=True, sharex=True))
    heights = range(len(MEASURES) - 1, -1, -1)  # the first on top
    lowest = 0.0
    for panel, (split, values) in zip(axes, metrics.items(), strict=True):
        for height, name in zip(heights, MEASURES, strict=True):
            # What could not be measured is NaN, of which nothing is drawn.
            ends = [values.get(f"{name}_{when}", np.nan) for when in ("before", "after")]
            panel.plot(ends, [height, height], color="tab:blue", linewidth=1)
            panel.plot(ends[0], height, "o", color="tab:blue", fillstyle="none")
            panel.plot(ends[1], height, "o", color="tab:blue")
            lowest = np.nanmin([lowest, *ends])
        panel.set_yticks(heights, list(MEASURES.values()))
        panel.set(title=split, ylim=(-0.6, len(MEASURES) - 0.4))
        panel.grid(axis="x", alpha=0.3)
    axes[0].set(xlim=(lowest - 0.02, 1.02))  # of all: they share their axis
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
        arrays = rating_arrays.rating_arrays(part)
        others, compared = listener_indicators.leave_one_out_means(arrays)
        distance = (part["score"] - others).where(compared)
        by_listener = part.assign(distance=distance).groupby("listener_id", observed=True)
        table = by_listener.agg(bias=("distance", "mean"), scale=("score", "std")).reset_index()
        parts.append(table.assign(split=split))
    return pd.concat(parts, ignore_index=True)


def _plot_stacked(
    axes: Axes, edges: NDArray[np.float64], counts: Mapping[str, NDArray[np.integer[Any]]]
) -> None:
    base = np.zeros(len(edges) - 1)
    for name, values in counts.items():
        axes.stairs(base + values, edges, baseline=base, fill=True, color=COLORS[name], label=name)
        base = base + values
    axes.set_ylim(0, 1.2 * max(base.max(), 1))  # room for the legend above the bars
    axes.legend(loc="upper center", ncols=len(counts))
