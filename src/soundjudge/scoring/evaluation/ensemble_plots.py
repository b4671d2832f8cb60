"""Figures of the ensemble: its weights with intervals, and how far its members agree."""

import numpy as np
from matplotlib.figure import Figure

from soundjudge.reporting import plotting
from soundjudge.scoring.ensemble.fit_report import FitReport
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit

DARK = 0.6  # of a cell: its number is white


def plot_weights(fit: FitReport, note: str) -> Figure:
    """Each member's weight with its interval over pairs of validation."""
    title = f"Weights of the ensemble by {fit.method}"
    figure = plotting.create_figure(5.6, 1.2 + 0.35 * len(fit.weights), title, note)
    axes = figure.subplots()
    names = list(reversed(fit.members))
    axes.barh(names, [fit.weights[name] for name in names], color="lightgray", edgecolor="black")
    for height, name in enumerate(names):
        if name in fit.weight_intervals:
            axes.plot(fit.weight_intervals[name], [height, height], "|-", color="black")
    axes.set(xlabel="weight of standardized scores, 95 % intervals", xlim=(0, None))
    return figure


def plot_correlations(split: EvaluatedSplit, note: str) -> Figure:
    """SRCC between members on a split: near-clones are dark."""
    names = split.members
    agreement = split.member_correlations
    size = 2.4 + 0.6 * len(names)
    title = f"SRCC between members, {split.name}"
    figure = plotting.create_figure(size + 0.6, size - 0.4, title, note)
    axes = figure.subplots()
    image = axes.imshow(agreement, cmap="Greys", vmin=0, vmax=1)
    figure.colorbar(image)
    for (row, column), value in np.ndenumerate(agreement):
        color = "white" if value > DARK else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    return figure
