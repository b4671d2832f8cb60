"""How well members and ensemble agree with listeners: the only stage that reads test labels.

reads   data/prepared/ratings.parquet (validation), data/test_labels/ratings.parquet,
        data/predictions/members/, data/predictions/ensemble/, metrics/details/ensemble.json
writes  metrics/evaluate.json, metrics/details/evaluate.json, metrics/evaluate.{md,html},
        metrics/systems.csv, plots/evaluate/*.png, plots/print/*.pdf
"""

import logging
from pathlib import Path

import pandas as pd

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import ensemble, fit_report, intervals, panel
from soundjudge.scoring.evaluation import coverage, evaluation, figures, html_page, markdown_page
from soundjudge.scoring.evaluation.encoder_importance import measure_falls
from soundjudge.scoring.evaluation.systems import EvaluationConfig

RATINGS = [Path("data/prepared/ratings.parquet"), Path("data/test_labels/ratings.parquet")]
PREDICTIONS, METRICS = Path("data/predictions"), Path("metrics")
ENSEMBLE, FIT = Path("checkpoints/ensemble.json"), Path("metrics/details/ensemble.json")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    note, config = params.load("note", str), params.load("evaluate", EvaluationConfig)
    fit = fit_report.read_report(FIT)
    fitted = ensemble.read_ensemble(ENSEMBLE)
    learned = intervals.read_intervals(PREDICTIONS / "ensemble/intervals.json")
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
    rows = {split.name: coverage.measure_coverage(split, fitted, learned) for split in splits}
    covered = coverage.Coverage(rows=rows, intervals=learned)
    headline = evaluation.headline_metrics(splits, note) | covered.shares
    artifacts.write_json(METRICS / "evaluate.json", headline)
    results = evaluation.evaluation_results(splits, note) | {"intervals": covered.rows}
    falls = measure_falls(PREDICTIONS / "members", fit.members, splits[0].comparison.frame)
    artifacts.write_json(METRICS / "details/evaluate.json", results | {"encoders": falls})
    markdown_page.write_page(splits, fit, note, METRICS / "evaluate.md", covered.lines)
    html_page.write_page(splits, METRICS / "evaluate.html", note=note, fit=fit, coverage=covered)
    evaluation.write_generators(splits, note, METRICS / "systems.csv")
    plots = figures.draw_figures(splits, fit, falls, note)
    figures.save_figures(plots, Path("plots/evaluate"), Path("plots/print"))


if __name__ == "__main__":
    main()
