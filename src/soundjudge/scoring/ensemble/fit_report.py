"""What the ensemble stage reports of its fit: what was chosen, on which evidence, how certain."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from soundjudge import params
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import crossfit, ensemble
from soundjudge.scoring.ensemble.crossfit import CrossFit
from soundjudge.scoring.ensemble.ensemble import Ensemble, EnsembleConfig
from soundjudge.scoring.ensemble.folds import FoldsBy, RatedScores

HEADLINE = ("note", "method", "calibration", "crossfitted", "weights")
TAIL = 2.5  # percent of the draws of a weight on each side of its interval


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """metrics/details/ensemble.json."""

    note: str
    method: str
    calibration: str
    folds_by: FoldsBy
    crossfitted: dict[str, float]  # srcc and mse, with all choices inside the folds
    methods: dict[str, dict[str, float]]
    "srcc and mse of every method and of every single member in the same folds"
    members: tuple[str, ...]  # in the order of the ensemble
    weights: dict[str, float]
    weight_intervals: dict[str, tuple[float, float]]
    "95 %, by the chosen method on resamples of the pairs"
    resamples_without_weights: int
    weak_folds: dict[str, str]  # name -> why its fit failed
    refitted: tuple[str, ...]  # members refitted without each held-out generator


def report_fit(
    pairs: RatedScores,
    fitted: Ensemble,
    chosen: EnsembleConfig,
    crossfitted: CrossFit,
    refits: Mapping[str, pd.DataFrame],
) -> dict[str, object]:
    """The report as JSON, but for the note; `chosen` is the config without auto.

    `refits`: by generator, a column per member that was refitted without it.
    """
    for fold, reason in crossfitted.weak.items():
        logging.warning("fold %s has no fit: %s", fold, reason)
    draws = ensemble.weight_draws(pairs.scores, pairs.rating, chosen)  # (R, K)
    empty = np.isnan(draws).any(axis=1)
    intervals = {}
    if not empty.all():
        ends = np.percentile(draws[~empty], [TAIL, 100 - TAIL], axis=0).T.tolist()
        intervals = dict(zip(fitted.members, ends, strict=True))
    return {
        "method": chosen.method,
        "calibration": chosen.calibration,
        "folds_by": chosen.folds_by,
        "crossfitted": crossfitted.numbers(pairs.rating),
        "methods": crossfit.compare_methods(pairs, chosen),
        "members": list(fitted.members),
        "weights": dict(zip(fitted.members, fitted.weights, strict=True)),
        "weight_intervals": intervals,
        "resamples_without_weights": int(empty.sum()),
        "weak_folds": crossfitted.weak,
        "refitted": sorted({str(name) for columns in refits.values() for name in columns}),
    }


def read_report(path: Path) -> FitReport:
    """The report that the stage wrote; ParamsError names a wrong key."""
    return params.build(FitReport, artifacts.read_json(path), f"{path}: ")
