"""Figures of an evaluation: SRCC of every system, and scores against mean ratings."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from soundjudge.reporting import plotting
from soundjudge.scoring.evaluation import evaluation
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit

BANDS = np.linspace(0, 10, 11)  # edges of score bands, a point wide


def plot_agreement(splits: Sequence[EvaluatedSplit], note: str) -> Figure:
    """SRCC of every system with its interval, and the noise ceiling's range; axes per split."""
    rows = max(len(split.comparison.systems) for split in splits)
    title = "Agreement with listeners: SRCC"
    figure = plotting.create_figure(4.8 * len(splits), 1.2 + 0.35 * rows, title, note)
    panels = figure.subplots(1, len(splits), squeeze=False, sharex=True)[0]
    for axes, split in zip(panels, splits, strict=True):
        numbers = evaluation.system_metrics(split)
        for height, system in enumerate(reversed(split.comparison.systems)):
            row = numbers[system]
            axes.plot([row["srcc_lo"], row["srcc_hi"]], [height, height], color="tab:blue")
            axes.plot(row["srcc"], height, "o", color="tab:blue")
        axes.set_yticks(range(len(split.comparison.systems)), reversed(split.comparison.systems))
        axes.set_ylim(-0.7, len(split.comparison.systems) - 0.3)
        if split.ceilings is not None:
            ceiling = sorted((split.ceilings.deconvolved.srcc, split.ceilings.classical.srcc))
            axes.axvspan(*ceiling, color="tab:red", alpha=0.4)
            middle = len(split.comparison.systems) / 2 - 0.5
            style = {"rotation": 90, "ha": "right", "va": "center", "color": "tab:red"}
            axes.text(ceiling[0], middle, "noise ceiling ", **style)
        axes.set(xlabel=f"{split.name}, {split.comparison.confidence:.0%} intervals")
    return figure


def plot_scatter(split: EvaluatedSplit, system: str, note: str) -> Figure:
    """Scores of one system against mean ratings, with the mean rating of each band of scores."""
    figure = plotting.create_figure(4.8, 4.8, f"{system} on {split.name}", note)
    axes = figure.subplots()
    score = split.comparison.frame[system].to_numpy(dtype=np.float64)
    rating = split.comparison.frame["average_score"].to_numpy(dtype=np.float64)
    axes.plot(score, rating, ".", alpha=0.3)
    axes.plot([0, 10], [0, 10], color="tab:gray", linewidth=1)
    band = np.clip(np.digitize(score, BANDS) - 1, 0, len(BANDS) - 2)
    filled = np.unique(band)
    means = [(score[band == b].mean(), rating[band == b].mean()) for b in filled]
    axes.plot(*np.transpose(means), "o-", color="tab:orange", label="mean of a band")
    axes.set(xlabel="score", ylabel="mean rating", xlim=(-0.2, 10.2), ylim=(-0.2, 10.2))
    axes.legend(loc="upper left")
    return figure
