"""Combines the members: weights and calibration, fitted on validation only.

reads   data/predictions/members/, data/targets/{train,validation}.csv, data/prepared/: which pairs
        there are and which sounds are silent; for hold_out clips, CLAPs, data/clap_features/
writes  data/predictions/ensemble/ predictions and intervals; validation_crossfitted.csv is by fits
        without the pair's fold; checkpoints/ensemble.json, metrics/ensemble.json and its details
"""

import dataclasses
import logging
from pathlib import Path

from soundjudge import params
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression.kernel_machine import RegressionConfig
from soundjudge.data.clips.clip_levels import read_levels
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.ensemble import crossfit, ensemble, fit_report, panel, refits

MEMBERS, TARGETS = Path("data/predictions/members"), Path("data/targets")
PREPARED, BLENDS = Path("data/prepared"), Path("data/predictions/ensemble")
CLAP_FEATURES = Path("data/clap_features")
ENSEMBLE, METRICS = Path("checkpoints/ensemble.json"), Path("metrics/ensemble.json")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = params.load("ensemble", ensemble.EnsembleConfig)
    regression = params.load("regress", RegressionConfig)
    claps = regression.claps(params.load("encoders.clap", ClapSource))
    device, note = params.load("device", str), params.load("note", str)
    devices.make_deterministic()

    names, silent = tuple(config.members), set(read_levels(PREPARED).silent)
    panels = (panel.read_panel(MEMBERS, names, split) for split in ("validation", "test"))
    validation, test = (panel.mark_silent(table, silent) for table in panels)
    files = (TARGETS / "train.csv", TARGETS / "validation.csv")
    train, targets = (tables.read_table(file, tables.TARGETS) for file in files)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    for name in panel.unknown_members(MEMBERS, names):
        logging.warning("%s is no member in params.yaml: not used", MEMBERS / name)
    inputs = validation, train, rated, PREPARED, CLAP_FEATURES, regression, claps
    refitted = refits.refit_members(config, *inputs, device)
    pairs = panel.rated_scores(validation, targets, rated, names, refitted, config.silent_score)
    chosen = crossfit.choose(pairs, config)
    fitted = ensemble.fit_ensemble(pairs.scores, pairs.rating, chosen)
    held_out = crossfit.crossfit(pairs, config)
    blends = panel.blends(validation, test, targets, fitted, held_out)
    intervals = panel.fit_panel_intervals(
        validation, targets, fitted, blends["validation_crossfitted"], config.coverage
    )
    panel.write_blends(BLENDS, blends, intervals)
    artifacts.write_json(ENSEMBLE, dataclasses.asdict(fitted), exact=True)
    numbers = fit_report.report_fit(pairs, fitted, chosen, held_out, refitted)
    artifacts.write_metrics(METRICS, {"note": note} | numbers, fit_report.HEADLINE)


if __name__ == "__main__":
    main()
