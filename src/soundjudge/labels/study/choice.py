"""The target that `auto` stands for in the pipeline: chosen by held-out listeners of train."""

from typing import Any

import pandas as pd

from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.labels.study import study
from soundjudge.labels.study.candidates import Candidate, Target
from soundjudge.labels.study.held_out import Settings, StudyConfig
from soundjudge.labels.study.study import Study

SPLIT = "train"


def study_targets(ratings: pd.DataFrame, rules: Screening, config: Standardization) -> Study:
    """Compares the columns of a TARGETS table, by the unscreened RATINGS of train.

    Screening is that of `rules` and takes place among the listeners that targets are made from.
    """
    method = rules.method if SPLIT in rules.splits else "none"
    spo: Target = "spo" if config.shrinkage == 0 else "spo_shrunken"
    targets: tuple[Target, ...] = ("mean", spo, "latent")
    candidates = [Candidate(screening=method, target=target) for target in targets]
    return study.study_ratings(
        rating_arrays.rating_arrays(ratings[ratings["split"] == SPLIT]),
        Settings(screening=rules, standardization=config),
        StudyConfig(),
        candidates=candidates,
        default=candidates[-1],
        where="training ratings",
    )


def choice_record(result: Study) -> dict[str, Any]:
    """What trainings read: the name of a target's column without _score, and the reason."""
    return {"target": result.chosen.target.removesuffix("_shrunken"), "verdict": result.verdict}
