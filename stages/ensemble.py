"""Combines the members: weights and calibration, fitted on validation only.

reads   data/predictions/members/<member>/{validation,test}.csv, data/targets/validation.csv
writes  data/predictions/ensemble/{validation,test}.csv, checkpoints/ensemble.json,
        data/predictions/ensemble/validation_crossfitted.csv: each score by an ensemble fitted
        without the pair's own rating, data/predictions/ensemble/intervals.json
"""

import dataclasses
import logging
from pathlib import Path

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import ensemble, panel

MEMBERS = Path("data/predictions/members")
TARGETS = Path("data/targets/validation.csv")
BLENDS = Path("data/predictions/ensemble")
ENSEMBLE = Path("checkpoints/ensemble.json")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = params.load("ensemble", ensemble.EnsembleConfig)
    names = tuple(config.members)

    validation = panel.read_panel(MEMBERS, names, "validation")
    test = panel.read_panel(MEMBERS, names, "test")
    targets = tables.read_table(TARGETS, tables.TARGETS)
    for name in panel.unknown_members(MEMBERS, names):
        logging.warning("%s is no member in params.yaml: not used", MEMBERS / name)

    fitted = panel.fit_panel(validation, targets, config)
    crossfitted = panel.crossfit_panel(validation, targets, config)
    intervals = panel.fit_panel_intervals(validation, targets, fitted, crossfitted, config.coverage)
    with artifacts.atomic_folder(BLENDS) as folder:
        for name, predictions in (
            ("validation", panel.blend_panel(validation, fitted)),
            ("validation_crossfitted", crossfitted),
            ("test", panel.blend_panel(test, fitted)),
        ):
            tables.write_table(predictions, folder / f"{name}.csv", tables.PREDICTIONS)
        artifacts.write_json(folder / "intervals.json", dataclasses.asdict(intervals), exact=True)
    artifacts.write_json(ENSEMBLE, dataclasses.asdict(fitted), exact=True)


if __name__ == "__main__":
    main()
