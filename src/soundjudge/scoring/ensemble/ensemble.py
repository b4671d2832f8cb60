"""Members' scores to one score, by weights and a calibration that are fitted on validation.

N = number of pairs, K = number of members.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import calibration
from soundjudge.scoring.ensemble.calibration import Calibration

ENSEMBLE, CROSSFITTED = "ensemble", "ensemble_crossfitted"  # columns of its scores
# Names that reports use for other columns.
RESERVED = (ENSEMBLE, CROSSFITTED, "ceiling", "difference")


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """How members are combined; section `ensemble`."""

    members: dict[str, str]  # name -> checkpoint folder
    method: Literal["nnls", "mean"]
    calibration: calibration.Method
    folds: int = 10  # refits for scores of validation by weights that saw no rating of the pair
    seed: int = 0  # of the folds
    coverage: float = 0.9  # share of pairs whose mean rating lies within a score's interval

    def __post_init__(self) -> None:
        if not self.members:
            raise SoundjudgeError("members is empty: name at least one")
        for name in self.members:
            if name in RESERVED or not name.replace("_", "").replace("-", "").isalnum():
                raise SoundjudgeError(
                    f"members has {name!r}: use letters, digits, - and _, and none of {RESERVED}"
                )
        if self.folds < 2:
            raise SoundjudgeError(f"folds is {self.folds}: cross-fitting needs 2 or more")
        if not 0 < self.coverage < 1:
            raise SoundjudgeError(f"coverage is {self.coverage}: choose a number between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """All that combining needs; every tuple and column has the K members in one order."""

    members: tuple[str, ...]
    mean: tuple[float, ...]  # of a member's scores on validation
    std: tuple[float, ...]
    weights: tuple[float, ...]  # of standardized scores; not negative, sum 1
    calibration: Calibration

    def __post_init__(self) -> None:
        if len({len(self.members), len(self.mean), len(self.std), len(self.weights)}) != 1:
            raise SoundjudgeError("members, mean, std and weights must have one entry per member")
        if not all(std > 0 for std in self.std):
            raise SoundjudgeError(f"std is {list(self.std)}: every entry must be above 0")
        if not all(weight >= 0 for weight in self.weights) or abs(sum(self.weights) - 1) > 1e-6:
            raise SoundjudgeError(f"weights is {list(self.weights)}: none below 0, and a sum of 1")


def fit_ensemble(
    scores: NDArray[np.float64], rating: NDArray[np.float64], config: EnsembleConfig
) -> Ensemble:
    """Weights and calibration of `scores` (N, K) for mean `rating` (N,), 0 to 10."""
    names = tuple(config.members)
    mean, std = scores.mean(axis=0), scores.std(axis=0)  # (K,)
    for name, spread in zip(names, np.ptp(scores, axis=0), strict=True):
        if spread == 0:
            raise SoundjudgeError(f"member {name} gives every pair the same score: remove it")
    standardized = (scores - mean) / std  # (N, K)
    weights = np.full(len(names), 1 / len(names))
    if config.method == "nnls":
        weights = nnls(standardized, rating - rating.mean())[0]
        if weights.sum() == 0:
            raise SoundjudgeError("no member's scores rise with the ratings on validation")
        weights = weights / weights.sum()
    return Ensemble(
        members=names,
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        weights=tuple(weights.tolist()),
        calibration=calibration.fit_calibration(standardized @ weights, rating, config.calibration),
    )


def apply_ensemble(ensemble: Ensemble, member_scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (N,), 0 to 10, of `member_scores` (N, K); a score depends on its own pair alone."""
    assert member_scores.shape[1:] == (len(ensemble.members),), "scores need a column per member"
    standardized = (member_scores - np.asarray(ensemble.mean)) / np.asarray(ensemble.std)
    # A sum along the row, not a matrix product: BLAS may round differently for another N.
    blend = (standardized * np.asarray(ensemble.weights)).sum(axis=1)
    return np.clip(calibration.apply_calibration(ensemble.calibration, blend), 0.0, 10.0)


def crossfit(
    scores: NDArray[np.float64], rating: NDArray[np.float64], config: EnsembleConfig
) -> NDArray[np.float64]:
    """Scores (N,), 0 to 10, each by an ensemble fitted without the pair's own fold."""
    count = len(rating)
    if count < 2 * config.folds:
        raise SoundjudgeError(f"folds is {config.folds}: too many for {count} validation pairs")
    fold = np.random.default_rng(config.seed).permutation(count) % config.folds  # (N,)
    held_out = np.empty(count)
    for number in range(config.folds):
        test = fold == number
        fitted = fit_ensemble(scores[~test], rating[~test], config)
        held_out[test] = apply_ensemble(fitted, scores[test])
    return held_out


def ensemble_from_json(values: object, where: str) -> Ensemble:
    """The ensemble that `dataclasses.asdict` wrote; ParamsError names a wrong key."""
    return params.build(Ensemble, values, where)
