"""Combines the members: weights and calibration, fitted on validation only.

reads   data/predictions/members/<member>/{validation,test}.csv, data/targets/validation.csv
writes  data/predictions/ensemble/{validation,test}.csv, checkpoints/ensemble.json,
        data/predictions/ensemble/validation_crossfitted.csv: as validation.csv, but by weights
        that never saw the pair's own rating
"""

import dataclasses
import logging
from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.data import tables
from soundjudge.scoring import ensemble, panel

MEMBERS = Path("data/predictions/members")
TARGETS = Path("data/targets/validation.csv")
BLENDS = Path("data/predictions/ensemble")
ENSEMBLE = Path("checkpoints/ensemble.json")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    fitting = params.load("ensemble", ensemble.Fitting)
    names = tuple(fitting.members)

    validation = panel.read(MEMBERS, names, "validation")
    test = panel.read(MEMBERS, names, "test")
    targets = tables.read(TARGETS, tables.TARGETS)
    for stranger in panel.strangers(MEMBERS, names):
        logging.warning("%s is no member in params.yaml: not used", MEMBERS / stranger)

    fitted = panel.fit(validation, targets, fitting)
    crossfitted = panel.crossfitted(validation, targets, fitting)
    with artifacts.atomic_folder(BLENDS) as folder:
        for name, predictions in (
            ("validation", panel.blend(validation, fitted)),
            ("validation_crossfitted", crossfitted),
            ("test", panel.blend(test, fitted)),
        ):
            tables.write(predictions, folder / f"{name}.csv", tables.PREDICTIONS)
    artifacts.write_json(ENSEMBLE, dataclasses.asdict(fitted))


if __name__ == "__main__":
    main()
