"""All figures of the stage `evaluate`: of systems, of generators and of the ensemble.

All are readable in gray: marks and lines differ, and not colors alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.fit_report import FitReport
from soundjudge.scoring.evaluation import encoder_importance
from soundjudge.scoring.evaluation.calibration_curve import calibration_curve
from soundjudge.scoring.evaluation.encoder_importance import Falls
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit, Row

CELLS = 25  # of a scatter's hexagons, along the scores
OFFSET = 0.13  # of two marks of one row
DARK = 0.6  # of a cell: its number is white


def plot_agreement(splits: Sequence[EvaluatedSplit], note: str) -> Figure:
    """SRCC of every system with its interval, and the noise ceiling's range; axes per split."""
    rows = max(len(split.comparison.systems) for split in splits)
    title = "Agreement with listeners: SRCC"
    figure = plotting.create_figure(4.8 * len(splits), 1.2 + 0.35 * rows, title, note)
    panels = figure.subplots(1, len(splits), squeeze=False, sharex=True)[0]
    for axes, split in zip(panels, splits, strict=True):
        numbers = split.metrics
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
        axes.set(xlabel=f"{split.name}, {split.comparison.config.confidence:.0%} intervals")
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
        names = [f"{name} ({rows[0]['pairs']})" for name, rows in table.items()]
        axes.set_yticks(range(len(names)), reversed(names))
        axes.set(xlabel=f"{split.name}, {split.comparison.config.confidence:.0%} intervals")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return figure


def _generator_rows(split: EvaluatedSplit) -> dict[str, list[Row]]:
    """By generator: the row of every sliced system, where all of them have an SRCC."""
    rows: dict[str, list[Row]] = {}
    for row in (row for of_system in split.slices.values() for row in of_system):
        if row["slice"] == "generator" and "srcc" in row:
            rows.setdefault(row["value"], []).append(row)
    complete = len(split.slices)
    return {name: of_systems for name, of_systems in rows.items() if len(of_systems) == complete}


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
    # One axis for all runs: `dvc plots diff` puts two beside each other.
    axes.set(xlabel="weight of standardized scores, 95 % intervals", xlim=(0, 1.02))
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


def draw_figures(
    splits: Sequence[EvaluatedSplit], fit: FitReport, falls: Falls, note: str
) -> dict[str, Figure]:
    """srcc, weights, correlations, a scatter per split; generators and encoders, if there are any.

    `falls` are those of `encoder_importance.measure_falls`.
    """
    figures = {
        "srcc": plot_agreement(splits, note),
        "weights": plot_weights(fit, note),
        "correlations": plot_correlations(splits[-1], note),
    }
    for split in splits:
        figures[split.name] = plot_scatter(split, split.headline, note)
    if falls:
        figures["encoders"] = encoder_importance.plot_falls(falls, note)
    generators = plot_generators(splits, note)
    return figures if generators is None else figures | {"generators": generators}


def save_figures(plots: Mapping[str, Figure], images: Path, prints: Path) -> None:
    """Writes each figure as PNG into the folder `images`, which DVC shows, as PDF into `prints`."""
    for folder, kind in ((images, "png"), (prints, "pdf")):
        with artifacts.atomic_folder(folder) as temporary:
            for name, figure in plots.items():
                plotting.save_figure(figure, temporary / f"{name}.{kind}")
