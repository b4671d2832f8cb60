"""Combines the members: weights and calibration, fitted on validation only.

reads   data/predictions/members/<member>/{validation,test}.csv, data/targets/validation.csv,
        data/prepared/rated.parquet; for hold_out data/targets/train.csv, data/prepared/, a CLAP
writes  data/predictions/ensemble/{validation,test,validation_crossfitted}.csv: the last by
        ensembles fitted without the pair's fold; checkpoints/ensemble.json,
        metrics/ensemble.json, metrics/details/ensemble.json
"""

import dataclasses
import logging
from pathlib import Path

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import crossfit, ensemble, fit_report, panel

MEMBERS, TARGETS = Path("data/predictions/members"), Path("data/targets")
PREPARED, BLENDS = Path("data/prepared"), Path("data/predictions/ensemble")
ENSEMBLE, METRICS = Path("checkpoints/ensemble.json"), Path("metrics/ensemble.json")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = params.load("ensemble", ensemble.EnsembleConfig)
    note, names = params.load("note", str), tuple(config.members)

    validation, test = (panel.read_panel(MEMBERS, names, split) for split in ("validation", "test"))
    targets = tables.read_table(TARGETS / "validation.csv", tables.TARGETS)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    for name in panel.unknown_members(MEMBERS, names):
        logging.warning("%s is no member in params.yaml: not used", MEMBERS / name)
    refits = {}
    if config.hold_out == "generator":
        from soundjudge.scoring.ensemble.refits import refit_members  # torch takes seconds

        train = TARGETS / "train.csv"
        refits = refit_members(config, validation, train, rated, PREPARED)

    pairs = panel.rated_scores(validation, targets, rated, names, refits)
    chosen = crossfit.choose(pairs, config)
    fitted = ensemble.fit_ensemble(pairs.scores, pairs.rating, chosen)
    held_out = crossfit.crossfit(pairs, config)
    with artifacts.atomic_folder(BLENDS) as folder:
        blends = panel.blends(validation, test, targets, fitted, held_out)
        for name, predictions in blends.items():
            tables.write_table(predictions, folder / f"{name}.csv", tables.PREDICTIONS)
    artifacts.write_json(ENSEMBLE, dataclasses.asdict(fitted), exact=True)
    refitted = sorted({name for columns in refits.values() for name in columns})
    numbers = fit_report.report_fit(pairs, fitted, chosen, held_out, refitted)
    artifacts.write_metrics(METRICS, {"note": note} | numbers, fit_report.HEADLINE)


if __name__ == "__main__":
    main()
