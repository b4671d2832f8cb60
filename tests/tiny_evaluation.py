"""An evaluated split of simulated systems, and the fit of an ensemble, for pages about them."""

from functools import cache

import numpy as np
import pandas as pd

from soundjudge.scoring.ensemble.fit_report import FitReport
from soundjudge.scoring.evaluation import evaluation
from soundjudge.scoring.evaluation.systems import EvaluationConfig

CONFIG = EvaluationConfig(resamples=40, seed=0)
FIT = FitReport(
    note="", method="nnls", calibration="linear", folds_by="none", crossfitted={}, methods={},
    members=("a", "b"), weights={"a": 0.7, "b": 0.3}, weight_intervals={"a": (0.55, 0.9)},
    resamples_without_weights=0, weak_folds={}, refitted=(),
)  # fmt: skip


@cache
def evaluated_split(
    systems=("a", "b", "ensemble"), raters=4, generators=("g0", "g1"), pairs=60, seed=0
):
    """Systems with more noise from one to the next, on pairs of uniform quality."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 9, size=pairs)
    scores = pd.DataFrame(
        {
            "wav_file_name": [f"{p}.wav" for p in range(pairs)],
            "text": [f"t {p}" for p in range(pairs)],
        }
    )
    row = np.repeat(np.arange(pairs), raters)
    ratings = scores.iloc[row].reset_index(drop=True)
    ratings["score"] = np.clip(truth[row] + rng.normal(size=len(row)), 0, 10)
    ratings["listener_id"] = [f"l{k}" for k in range(raters)] * pairs
    ratings["split"] = "test"
    ratings["model_id"] = [generators[p % len(generators)] for p in row]
    for k, name in enumerate(systems):
        scores[name] = truth + (k + 1) * rng.normal(size=pairs)
    return evaluation.evaluate_split(scores, ratings, CONFIG)
