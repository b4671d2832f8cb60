"""How well members and ensemble agree with listeners: the only stage that reads test labels.

reads   data/prepared/ratings.parquet (validation), data/test_labels/ratings.parquet,
        data/predictions/members/, data/predictions/ensemble/, metrics/details/ensemble.json
writes  metrics/evaluate.json, metrics/details/evaluate.json, metrics/evaluate.md,
        metrics/systems.csv, plots/evaluate/*.png
"""

import logging
from pathlib import Path

import pandas as pd

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import fit_report, panel
from soundjudge.scoring.evaluation import evaluation, evaluation_page, figures

RATINGS = [Path("data/prepared/ratings.parquet"), Path("data/test_labels/ratings.parquet")]
PREDICTIONS = Path("data/predictions")
FIT = Path("metrics/details/ensemble.json")
METRICS = Path("metrics")
PLOTS = Path("plots/evaluate")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    note = params.load("note", str)
    config = params.load("evaluate", evaluation.EvaluationConfig)
    fit = fit_report.read_report(FIT)

    ratings = pd.concat([tables.read_table(path, tables.RATINGS) for path in RATINGS])
    for name in panel.unknown_members(PREDICTIONS / "members", fit.members):
        logging.warning("%s/members/%s is no member: not evaluated", PREDICTIONS, name)
    splits = [
        evaluation.evaluate_split(
            panel.read_panel_with_ensemble(PREDICTIONS, fit.members, split),
            ratings[ratings["split"] == split],
            config,
        )
        for split in ("validation", "test")
        if (ratings["split"] == split).any()
    ]

    artifacts.write_json(METRICS / "evaluate.json", evaluation.headline_metrics(splits, note))
    results = evaluation.evaluation_results(splits, note)
    artifacts.write_json(METRICS / "details/evaluate.json", results)
    evaluation_page.write_page(splits, fit, note, METRICS / "evaluate.md")
    evaluation.write_generators(splits, note, METRICS / "systems.csv")
    with artifacts.atomic_folder(PLOTS) as folder:
        for name, figure in figures.draw_figures(splits, fit, note).items():
            plotting.save_figure(figure, folder / f"{name}.png")


if __name__ == "__main__":
    main()
