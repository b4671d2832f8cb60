"""All figures of the stage `evaluate`, by the names of their files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.fit_report import FitReport
from soundjudge.scoring.evaluation import encoder_importance, ensemble_plots, evaluation_plots
from soundjudge.scoring.evaluation.encoder_importance import Falls
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit


def draw_figures(
    splits: Sequence[EvaluatedSplit], fit: FitReport, falls: Falls, note: str
) -> dict[str, Figure]:
    """srcc, weights, correlations, a scatter per split; generators and encoders, if there are any.

    `falls` are those of `encoder_importance.measure_falls`.
    """
    figures = {
        "srcc": evaluation_plots.plot_agreement(splits, note),
        "weights": ensemble_plots.plot_weights(fit, note),
        "correlations": ensemble_plots.plot_correlations(splits[-1], note),
    }
    for split in splits:
        figures[split.name] = evaluation_plots.plot_scatter(split, split.headline, note)
    if falls:
        figures["encoders"] = encoder_importance.plot_falls(falls, note)
    generators = evaluation_plots.plot_generators(splits, note)
    return figures if generators is None else figures | {"generators": generators}


def save_figures(plots: Mapping[str, Figure], images: Path, prints: Path) -> None:
    """Writes each figure as PNG into the folder `images`, which DVC shows, as PDF into `prints`."""
    for folder, kind in ((images, "png"), (prints, "pdf")):
        with artifacts.atomic_folder(folder) as temporary:
            for name, figure in plots.items():
                plotting.save_figure(figure, temporary / f"{name}.{kind}")
