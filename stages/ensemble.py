"""Combines the members: weights and calibration, fitted on validation only.

reads   data/predictions/members/, data/targets/validation.csv, data/prepared/: which pairs
        there are and which sounds are silent
writes  data/predictions/ensemble/ predictions and intervals; validation_crossfitted.csv is by fits
        without the pair's fold; checkpoints/ensemble.json, metrics/ensemble.json and its details
"""

import dataclasses
import logging
from pathlib import Path

from soundjudge import params
from soundjudge.data.clips.clip_levels import read_levels
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.runtime.rounding import FLOAT32_DIGITS
from soundjudge.scoring.ensemble import crossfit, ensemble, fit_report, panel, refits

MEMBERS, TARGETS = Path("data/predictions/members"), Path("data/targets")
PREPARED, BLENDS = Path("data/prepared"), Path("data/predictions/ensemble")
ENSEMBLE, METRICS = Path("checkpoints/ensemble.json"), Path("metrics/ensemble.json")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = params.load("ensemble", ensemble.EnsembleConfig)
    refit, note = params.load("refit", refits.RefitConfig), params.load("note", str)

    names, silent = tuple(config.members), set(read_levels(PREPARED).silent)
    panels = (panel.read_panel(MEMBERS, names, split) for split in ("validation", "test"))
    validation, test = (panel.mark_silent(table, silent) for table in panels)
    targets = tables.read_table(TARGETS / "validation.csv", tables.TARGETS)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    for name in panel.unknown_members(MEMBERS, names):
        logging.warning("%s is no member in params.yaml: not used", MEMBERS / name)
    refitted = refits.read_refits(MEMBERS, config.members, refit.members, validation)
    pairs = panel.rated_scores(validation, targets, rated, names, refitted, config.silent_score)
    chosen = crossfit.choose(pairs, config)
    fitted = ensemble.fit_ensemble(pairs.scores, pairs.rating, chosen)
    crossfitted = crossfit.crossfit(pairs, config)
    blends = panel.blends(validation, test, targets, fitted, crossfitted)
    intervals = panel.fit_panel_intervals(
        validation, targets, fitted, blends["validation_crossfitted"], config.coverage
    )
    panel.write_blends(BLENDS, blends, intervals)
    artifacts.write_json(ENSEMBLE, dataclasses.asdict(fitted), digits=FLOAT32_DIGITS)
    numbers = fit_report.report_fit(pairs, fitted, chosen, crossfitted, refitted)
    artifacts.write_metrics(METRICS, {"note": note} | numbers, fit_report.HEADLINE)


if __name__ == "__main__":
    main()
