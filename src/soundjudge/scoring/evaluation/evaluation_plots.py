"""Figures of an evaluation: SRCC of every system and generator, scores against mean ratings.

All are readable in grey: marks and lines differ, and not colors alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from soundjudge.reporting import plotting
from soundjudge.scoring.evaluation import evaluation
from soundjudge.scoring.evaluation.calibration_curve import calibration_curve
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit, Row

CELLS = 25  # of a scatter's hexagons, along the scores
OFFSET = 0.13  # of two marks of one row


def plot_agreement(splits: Sequence[EvaluatedSplit], note: str) -> Figure:
    """SRCC of every system with its interval, and the noise ceiling's range; axes per split."""
    rows = max(len(split.comparison.systems) for split in splits)
    title = "Agreement with listeners: SRCC"
    figure = plotting.create_figure(4.8 * len(splits), 1.2 + 0.35 * rows, title, note)
    panels = figure.subplots(1, len(splits), squeeze=False, sharex=True)[0]
    for axes, split in zip(panels, splits, strict=True):
        numbers = evaluation.system_metrics(split)
        for height, system in enumerate(reversed(split.comparison.systems)):
            _plot_interval(axes, numbers[system], height, "o")
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


def plot_generators(splits: Sequence[EvaluatedSplit], note: str) -> Figure | None:
    """SRCC within each generator, of the ensemble and of the best member; None without any."""
    tables = [_generator_rows(split) for split in splits]
    count = max(map(len, tables))
    if count == 0:
        return None
    title = "Agreement with listeners within each generator: SRCC"
    figure = plotting.create_figure(4.8 * len(splits), 1.8 + 0.4 * count, title, note)
    panels = figure.subplots(1, len(splits), squeeze=False, sharex=True)[0]
    for axes, split, table in zip(panels, splits, tables, strict=True):
        for height, rows in enumerate(reversed(table.values())):
            marks = zip(rows, "os", (OFFSET, -OFFSET), split.slices, strict=True)
            for row, mark, offset, system in marks:
                _plot_interval(axes, row, height + offset, mark, None if height else system)
        names = [f"{name} ({rows[0]['n']})" for name, rows in table.items()]
        axes.set_yticks(range(len(names)), reversed(names))
        axes.set(xlabel=f"{split.name}, {split.comparison.confidence:.0%} intervals")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return figure


def _generator_rows(split: EvaluatedSplit) -> dict[str, list[Row]]:
    """By generator: the row of every sliced system, where all of them have an SRCC."""
    rows: dict[str, list[Row]] = {}
    for row in (row for of_system in split.slices.values() for row in of_system):
        if row["slice"] == "generator" and "srcc" in row:
            rows.setdefault(row["value"], []).append(row)
    return {name: found for name, found in rows.items() if len(found) == len(split.slices)}


def plot_scatter(split: EvaluatedSplit, system: str, note: str) -> Figure:
    """Scores of one system against mean ratings: density, calibration line, mean rating by band.

    The means with their 95 % intervals are a reliability diagram: calibrated scores lie on the
    diagonal.
    """
    figure = plotting.create_figure(5.6, 4.8, f"{system} on {split.name}", note)
    axes = figure.subplots()
    score = split.comparison.frame[system].to_numpy(dtype=np.float64)
    rating = split.comparison.frame["average_score"].to_numpy(dtype=np.float64)
    box = (min(0, score.min()), max(10, score.max()), 0, 10)
    cells = axes.hexbin(score, rating, gridsize=CELLS, extent=box, mincnt=1, cmap="Greys", vmin=0)
    figure.colorbar(cells, label="pairs")
    axes.plot([0, 10], [0, 10], "--", color="black", linewidth=1, label="rating = score")
    curve = calibration_curve(score, rating)
    axes.plot(curve.line_score, curve.line_rating, color="tab:blue", label="calibration line")
    bands = (curve.band_score, curve.band_rating, curve.band_error)
    axes.errorbar(*bands, fmt="o", color="tab:orange", mec="black", label="mean of a band")
    axes.set(xlabel="score", ylabel="mean rating", ylim=(-0.2, 10.2))
    axes.set_xlim(box[0] - 0.2, box[1] + 0.2)
    axes.legend(loc="upper left", fontsize="small")
    return figure


def _plot_interval(
    axes: Axes, row: Mapping[str, float], height: float, mark: str, label: str | None = None
) -> None:
    """A mark at SRCC, and its interval as a line; nothing where there is none."""
    color = {"o": "tab:blue", "s": "black"}[mark]
    fill = color if mark == "o" else "white"
    axes.plot([row["srcc_lo"], row["srcc_hi"]], [height, height], color=color)
    axes.plot(row["srcc"], height, mark, color=color, markerfacecolor=fill, label=label)
