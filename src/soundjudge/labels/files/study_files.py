"""Reports on the ratings of any listening test: reliability, the study of targets, its picture."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from soundjudge.data.user_files.outputs import optional_output
from soundjudge.labels import rating_reports
from soundjudge.labels.files import rating_files, screening_report
from soundjudge.labels.files.rating_files import Tell
from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.scales import Scale
from soundjudge.labels.study import study
from soundjudge.labels.study.held_out import StudyConfig
from soundjudge.labels.study.study import Study
from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts

# By screening: told apart by shape and filling, in gray, too.
MARKERS = {"none": "o", "rating": "s", "listener": "D", "both": "^"}
GRAYS = {"none": "white", "rating": "0.75", "listener": "0.45", "both": "black"}
HEADING = "Agreement of targets with held-out listeners"


def plot_study(study: Study) -> Figure:
    """SRCC with held-out listeners, and its difference to the default, with intervals."""
    table, config = study.table, study.config
    targets = list(dict.fromkeys(table["target"]))
    figure = plotting.create_figure(9, 1.6 + 0.6 * len(targets), HEADING, note="")
    axes = figure.subplots(1, 2, sharey=True)
    for plot, name in zip(axes, ("srcc", "difference"), strict=True):
        _plot_intervals(plot, study, name, targets)
        plot.grid(axis="x", alpha=0.3)
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
            markerfacecolor=GRAYS[method],
            markersize=5,
            color="black",
            elinewidth=0.8,
            label=method,
        )


def study_file(
    path: Path,
    config: StudyConfig,
    *,
    scale: Scale | None = None,
    out: Path | None = None,
    plots: Path | None = None,
    overwrite: bool = False,
    tell: Tell = rating_files.tell_nothing,
) -> Study:
    """The study of a file's ratings; JSON in `out`, study.png and study.pdf in the folder `plots`.

    Raises SoundjudgeError.
    """
    if plots is not None:
        screening_report.check_folder(plots, overwrite=overwrite)
    with optional_output(out, [path], ".json", overwrite=overwrite) as target:
        ratings = rating_files.read_arrays(path, scale)
        result = study.study_ratings(ratings, rating_reports.SETTINGS, config, where=str(path))
        for sentence in result.notes():
            tell(sentence)
        if target:
            artifacts.write_json(target, result.as_json())
        if plots is not None:
            plots.mkdir(parents=True, exist_ok=True)
            plotting.save_for_print(plot_study(result), plots / "study")
    return result


def reliability_file(
    path: Path,
    *,
    resamples: int,
    seed: int,
    scale: Scale | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    tell: Tell = rating_files.tell_nothing,
) -> dict[str, float | str]:
    """Counts of a file's ratings and their agreement with intervals, also as JSON in `out`.

    Raises SoundjudgeError.
    """
    with optional_output(out, [path], ".json", overwrite=overwrite) as target:
        ratings = rating_files.read_ratings(path, scale)
        design = rating_files.describe_and_tell(rating_arrays.rating_arrays(ratings), tell)
        tell(f"intervals of {resamples} resamples, each with a fit of its own, take some seconds")
        numbers = rating_reports.reliability_numbers(
            ratings, design, resamples=resamples, seed=seed
        )
        if target:
            artifacts.write_json(target, numbers)
    return numbers
