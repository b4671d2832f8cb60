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
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression.kernel_machine import RegressionConfig
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.ensemble import crossfit, ensemble, fit_report, panel, refits

MEMBERS, TARGETS = Path("data/predictions/members"), Path("data/targets")
PREPARED, BLENDS = Path("data/prepared"), Path("data/predictions/ensemble")
ENSEMBLE, METRICS = Path("checkpoints/ensemble.json"), Path("metrics/ensemble.json")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = params.load("ensemble", ensemble.EnsembleConfig)
    regression = params.load("regress", RegressionConfig)
    claps = regression.claps(params.load("encoders.clap", ClapSource))
    device, note = params.load("device", str), params.load("note", str)
    devices.make_deterministic()

    names = tuple(config.members)
    validation, test = (panel.read_panel(MEMBERS, names, split) for split in ("validation", "test"))
    files = (TARGETS / "train.csv", TARGETS / "validation.csv")
    train, targets = (tables.read_table(file, tables.TARGETS) for file in files)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    for name in panel.unknown_members(MEMBERS, names):
        logging.warning("%s is no member in params.yaml: not used", MEMBERS / name)
    refitted = {}
    if config.hold_out == "generator":
        inputs = config.members, validation, train, rated, ClipStore(PREPARED)
        refitted = refits.refit_members(*inputs, regression, claps, device)
    pairs = panel.rated_scores(validation, targets, rated, names, refitted)
    chosen = crossfit.choose(pairs, config)
    fitted = ensemble.fit_ensemble(pairs.scores, pairs.rating, chosen)
    held_out = crossfit.crossfit(pairs, config)
    with artifacts.atomic_folder(BLENDS) as folder:
        blends = panel.blends(validation, test, targets, fitted, held_out)
        for name, predictions in blends.items():
            tables.write_table(predictions, folder / f"{name}.csv", tables.PREDICTIONS)
    artifacts.write_json(ENSEMBLE, dataclasses.asdict(fitted), exact=True)
    numbers = fit_report.report_fit(pairs, fitted, chosen, held_out, refitted)
    artifacts.write_metrics(METRICS, {"note": note} | numbers, fit_report.HEADLINE)


if __name__ == "__main__":
    main()
