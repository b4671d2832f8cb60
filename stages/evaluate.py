"""How well members and ensemble agree with listeners: the only stage that reads test labels.

reads   data/prepared/ratings.parquet (validation), data/test_labels/ratings.parquet,
        data/predictions/members/, data/predictions/ensemble/, checkpoints/ensemble.json
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
from soundjudge.scoring.ensemble import ensemble, intervals, panel
from soundjudge.scoring.evaluation import coverage, evaluation, evaluation_page, evaluation_plots

RATINGS = [Path("data/prepared/ratings.parquet"), Path("data/test_labels/ratings.parquet")]
PREDICTIONS = Path("data/predictions")
ENSEMBLE = Path("checkpoints/ensemble.json")
METRICS = Path("metrics")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    note = params.load("note", str)
    config = params.load("evaluate", evaluation.EvaluationConfig)
    fitted = ensemble.ensemble_from_json(artifacts.read_json(ENSEMBLE), str(ENSEMBLE))
    learned = intervals.read_intervals(PREDICTIONS / "ensemble/intervals.json")
    ratings = pd.concat([tables.read_table(path, tables.RATINGS) for path in RATINGS])
    for name in panel.unknown_members(PREDICTIONS / "members", fitted.members):
        logging.warning("%s/members/%s is no member: not evaluated", PREDICTIONS, name)
    splits = [
        evaluation.evaluate_split(
            panel.read_panel_with_ensemble(PREDICTIONS, fitted.members, split),
            ratings[ratings["split"] == split],
            config,
        )
        for split in ("validation", "test")
        if (ratings["split"] == split).any()
    ]
    covered = coverage.measure_splits(splits, fitted, learned)
    headline = evaluation.headline_metrics(splits, note) | covered.shares
    artifacts.write_json(METRICS / "evaluate.json", headline)
    results = evaluation.evaluation_results(splits, note) | {"intervals": covered.rows}
    artifacts.write_json(METRICS / "details/evaluate.json", results)
    evaluation_page.write_page(splits, fitted, note, METRICS / "evaluate.md", covered.lines)
    evaluation.write_generators(splits, note, METRICS / "systems.csv")
    with artifacts.atomic_folder(Path("plots/evaluate")) as folder:
        plotting.save_figure(evaluation_plots.plot_agreement(splits, note), folder / "srcc.png")
        for split in splits:
            scatter = evaluation_plots.plot_scatter(split, split.headline, note)
            plotting.save_figure(scatter, folder / f"{split.name}.png")


if __name__ == "__main__":
    main()
