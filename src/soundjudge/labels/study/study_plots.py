"""The picture of a study: every candidate's agreement with held-out listeners, and differences."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from soundjudge.labels.study.study import Study
from soundjudge.reporting import plotting

# By screening: told apart by shape and filling, in grey, too.
MARKERS = {"none": "o", "rating": "s", "listener": "D", "both": "^"}
GREYS = {"none": "white", "rating": "0.75", "listener": "0.45", "both": "black"}
HEADING = "Agreement of targets with held-out listeners"


def plot_study(study: Study, note: str = "") -> Figure:
    """SRCC with held-out listeners, and its difference to the default, with intervals."""
    table, config = study.table, study.config
    targets = list(dict.fromkeys(table["target"]))
    figure = plotting.create_figure(9, 1.6 + 0.6 * len(targets), HEADING, note)
    axes = figure.subplots(1, 2, sharey=True)
    for panel, name in zip(axes, ("srcc", "difference"), strict=True):
        _plot_intervals(panel, study, name, targets)
        panel.grid(axis="x", alpha=0.3)
    axes[0].set(xlabel="SRCC with the mean rating of held-out listeners")
    axes[0].set_yticks(range(len(targets)), targets)
    axes[0].invert_yaxis()
    axes[1].axvline(0, color="black", linewidth=0.8)
    axes[1].set(xlabel=f"difference to {study.default.target} by {study.default.screening}")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, title="screening", loc="outside right upper")
    figure.supxlabel(
        f"{study.panel.listeners} listeners, {study.panel.pairs} pairs, {config.splits} splits "
        f"with {config.held_out:.0%} held out; {config.confidence:.0%} intervals for other pairs "
        "and listeners",
        size=8,
    )
    return figure


def _plot_intervals(axes: Axes, study: Study, name: str, targets: list[str]) -> None:
    methods = list(dict.fromkeys(study.table["screening"]))
    offsets = np.linspace(-0.27, 0.27, len(methods)) if len(methods) > 1 else [0.0]
    for method, offset in zip(methods, offsets, strict=True):
        rows = study.table[study.table["screening"] == method]
        height = np.array([targets.index(target) for target in rows["target"]]) + offset
        value = rows[name].to_numpy()
        reach = np.abs(np.stack([rows[f"{name}_lo"], rows[f"{name}_hi"]]) - value)
        axes.errorbar(
            value,
            height,
            xerr=reach,
            fmt=MARKERS[method],
            markerfacecolor=GREYS[method],
            markersize=5,
            color="black",
            elinewidth=0.8,
            label=method,
        )
