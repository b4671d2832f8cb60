"""Members' scores -> one score, by weights and a calibration fitted on validation.

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

# Names that reports use for something else.
RESERVED = ("ensemble", "ensemble_crossfitted", "ceiling", "difference")


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """How members are combined."""

    members: dict[str, str]  # name -> checkpoint folder
    method: Literal["nnls", "mean"]
    calibration: calibration.Method
    folds: int
    seed: int

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


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """All that combining needs. Order of the K members is the order of every tuple and column."""

    members: tuple[str, ...]
    mean: tuple[float, ...]  # of a member's scores on validation
    std: tuple[float, ...]
    weights: tuple[float, ...]  # of standardized scores; not negative, sum 1
    calibration: Calibration

    def __post_init__(self) -> None:
        if len({len(self.members), len(self.mean), len(self.std), len(self.weights)}) != 1:
            raise SoundjudgeError("members, mean, std and weights must have one entry a member")


def fit_ensemble(
    scores: NDArray[np.float64], rating: NDArray[np.float64], fitting: EnsembleConfig
) -> Ensemble:
    """Weights and calibration that bring `scores` (N, K) to the mean `rating` (N,), 0 to 10."""
    names = tuple(fitting.members)
    mean, std = scores.mean(axis=0), scores.std(axis=0)  # (K,)
    for name, spread in zip(names, np.ptp(scores, axis=0), strict=True):
        if spread == 0:
            raise SoundjudgeError(f"member {name} gives every pair the same score: leave it out")
    standard = (scores - mean) / std  # (N, K)
    weights = np.full(len(names), 1 / len(names))
    if fitting.method == "nnls":
        weights = nnls(standard, rating - rating.mean())[0]
        if weights.sum() == 0:
            raise SoundjudgeError("no member's scores rise with the ratings on validation")
        weights = weights / weights.sum()
    return Ensemble(
        members=names,
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        weights=tuple(weights.tolist()),
        calibration=calibration.fit_calibration(standard @ weights, rating, fitting.calibration),
    )


def apply_ensemble(ensemble: Ensemble, member_scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores 0 to 10 (N,) of `member_scores` (N, K); no other pair matters to a pair's score."""
    if member_scores.ndim != 2 or member_scores.shape[1] != len(ensemble.members):
        raise SoundjudgeError(
            f"member scores have shape {member_scores.shape}: "
            f"need one column for each of {', '.join(ensemble.members)}"
        )
    standard = (member_scores - np.asarray(ensemble.mean)) / np.asarray(ensemble.std)
    # A sum along the row, not a matrix product: BLAS may round differently for another N.
    blend = (standard * np.asarray(ensemble.weights)).sum(axis=1)
    return np.clip(calibration.apply_calibration(ensemble.calibration, blend), 0.0, 10.0)


def crossfit(
    scores: NDArray[np.float64], rating: NDArray[np.float64], fitting: EnsembleConfig
) -> NDArray[np.float64]:
    """Scores (N,) by ensembles that never saw the pair's own rating: `folds` refits."""
    count = len(rating)
    if count < 2 * fitting.folds:
        raise SoundjudgeError(f"folds is {fitting.folds}: too many for {count} validation pairs")
    fold = np.random.default_rng(fitting.seed).permutation(count) % fitting.folds  # (N,)
    held_out = np.empty(count)
    for number in range(fitting.folds):
        out = fold == number
        held_out[out] = apply_ensemble(
            fit_ensemble(scores[~out], rating[~out], fitting), scores[out]
        )
    return held_out


def ensemble_from_json(values: object, where: str) -> Ensemble:
    """The ensemble that was written as `dataclasses.asdict`; ParamsError names the wrong key."""
    return params.build(Ensemble, values, where)
