"""Members' scores to one score, by weights and a calibration that are fitted on validation.

N = number of pairs, K = number of members.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import calibration, weighting
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.folds import FoldsBy

ENSEMBLE, CROSSFITTED = "ensemble", "ensemble_crossfitted"  # columns of its scores
# Names that reports use for other columns, and that of the folder of refits.
RESERVED = (ENSEMBLE, CROSSFITTED, "ceiling", "difference", "refit", "silent", "slices")


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """How members are combined; section `ensemble`."""

    members: dict[str, str]  # name -> checkpoint folder
    method: Literal["auto", "mean", "kinds", "nnls", "ridge", "greedy", "best"]
    calibration: Literal["auto", "linear", "isotonic"]
    folds: int = 10  # refits for scores of validation by weights that saw no rating of the pair
    folds_by: FoldsBy = "none"
    """What a fold holds out as a whole: pairs (none), a generator, texts, or both: as many refits
    as generators, as folds, or as folds for each generator. Members of refit.members are without
    the generator there, too."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Kinds of members for method kinds, name -> kind; others have the first part of their
    checkpoint's path: finetune/full1 is a finetune."""
    zero_weight: tuple[str, ...] = ()
    """Members that are measured and not weighed: those that validation flatters, such as a model
    that tells the training's sounds apart and no others."""
    least_weight: dict[str, float] = field(default_factory=dict)
    """Member -> weight that it has at least: those that validation undervalues, such as a model
    that knows sounds of elsewhere where the others know validation's own."""
    best_member: str | None = None
    "of method best; null = the member of the highest SRCC on validation, without folds and refits"
    resamples: int = 200  # of validation pairs, for the intervals of the weights
    seed: int = 0  # of the folds and of the resamples
    coverage: float = 0.9  # share of pairs whose mean rating lies within a score's interval
    silent_score: float | None = None
    "of a sound that is silent by prepare.silence_dbfs, whatever its text; null = as members say"

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
        if not 0.5 <= self.coverage < 1:
            raise SoundjudgeError(f"coverage is {self.coverage}: choose 0.5 to below 1")
        check_silent_score(self.silent_score)
        if not 1 <= self.resamples <= 1_000_000:
            raise SoundjudgeError(f"resamples is {self.resamples}: choose 1 to 1000000")
        for key in ("kinds", "zero_weight", "least_weight"):
            if unknown := sorted({*getattr(self, key)} - {*self.members}):
                raise SoundjudgeError(f"{key} names {unknown[0]}, which is no member")
        if len({*self.zero_weight}) < len(self.zero_weight):
            raise SoundjudgeError(f"zero_weight is {list(self.zero_weight)}: name each member once")
        if set(self.zero_weight) == set(self.members):
            raise SoundjudgeError("zero_weight names every member: leave one that is weighed")
        if both := sorted(set(self.least_weight) & set(self.zero_weight)):
            raise SoundjudgeError(f"least_weight names {both[0]}, which zero_weight names, too")
        least = self.least_weight.values()
        if not all(0 < one < 1 for one in least) or sum(least) >= 1:
            raise SoundjudgeError("least_weight needs weights above 0 whose sum is below 1")
        if self.best_member is not None and self.best_member not in self.members:
            raise SoundjudgeError(f"best_member is {self.best_member}, which is no member")
        if self.best_member in self.zero_weight:
            raise SoundjudgeError(f"best_member is {self.best_member}, which zero_weight names")

    def member_kinds(self) -> list[str]:
        """The kind of each member."""
        return [self.kinds.get(name, path.split("/")[0]) for name, path in self.members.items()]


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """All that combining needs; every tuple and column has the K members in one order."""

    members: tuple[str, ...]
    mean: tuple[float, ...]  # of a member's scores on validation
    std: tuple[float, ...]
    weights: tuple[float, ...]  # of standardized scores; not negative, sum 1
    calibration: Calibration
    silent_score: float | None = None  # of a silent sound, whatever members say

    def __post_init__(self) -> None:
        if len({len(self.members), len(self.mean), len(self.std), len(self.weights)}) != 1:
            raise SoundjudgeError("members, mean, std and weights must have one entry per member")
        if not all(std > 0 for std in self.std):
            raise SoundjudgeError(f"std is {list(self.std)}: every entry must be above 0")
        if not all(weight >= 0 for weight in self.weights) or abs(sum(self.weights) - 1) > 1e-6:
            raise SoundjudgeError(f"weights is {list(self.weights)}: none below 0, and a sum of 1")
        check_silent_score(self.silent_score)


def check_silent_score(score: float | None) -> None:
    """Raises SoundjudgeError unless it is a score or None."""
    if score is not None and not 0 <= score <= 10:
        raise SoundjudgeError(f"silent_score is {score}: write a score within 0 and 10, or null")


def fit_ensemble(
    scores: NDArray[np.float64], rating: NDArray[np.float64], config: EnsembleConfig
) -> Ensemble:
    """Weights and calibration of `scores` (N, K) for mean `rating` (N,), 0 to 10.

    Neither method nor calibration is auto: `crossfit.choose` has chosen.
    """
    assert config.calibration != "auto", "choose a calibration first"
    mean, std, standardized = _standardize(scores, config)
    weights = _fit_weights(standardized, rating, config)
    return Ensemble(
        members=tuple(config.members),
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        weights=tuple(weights.tolist()),
        calibration=calibration.fit_calibration(standardized @ weights, rating, config.calibration),
        silent_score=config.silent_score,
    )


def weight_draws(
    scores: NDArray[np.float64], rating: NDArray[np.float64], config: EnsembleConfig
) -> NDArray[np.float64]:
    """Weights (R, K) by the method on resamples of the pairs; a resample that has none is NaN."""
    rng, draws = np.random.default_rng(config.seed), []
    for _ in range(config.resamples):
        rows = rng.integers(len(rating), size=len(rating))
        try:
            standardized = _standardize(scores[rows], config)[2]
            weights = _fit_weights(standardized, rating[rows], config)
        except SoundjudgeError:
            weights = np.full(scores.shape[1], np.nan)
        draws.append(weights)
    return np.array(draws)


def _fit_weights(
    standardized: NDArray[np.float64], rating: NDArray[np.float64], config: EnsembleConfig
) -> NDArray[np.float64]:
    """Weights (K,) of standardized scores (N, K), by the method from those that are weighed."""
    if config.method == "best" and config.best_member is not None:
        return np.array([float(name == config.best_member) for name in config.members])
    weighed = [k for k, name in enumerate(config.members) if name not in config.zero_weight]
    kinds = [config.member_kinds()[k] for k in weighed]
    weights = np.zeros(len(config.members))
    weights[weighed] = weighting.fit_weights(config.method, standardized[:, weighed], rating, kinds)
    return raise_weights(weights, np.array([config.least_weight.get(n, 0) for n in config.members]))


def raise_weights(weights: NDArray[np.float64], least: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (K,) of sum 1, none below `least` (K,); the others keep their proportions."""
    raised = weights < least
    while True:
        others = weights * (1 - least[raised].sum()) / weights[~raised].sum()
        weights = np.where(raised, least, others)
        if not (below := weights < least).any():
            return weights
        raised |= below


def _standardize(
    scores: NDArray[np.float64], config: EnsembleConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean (K,), standard deviation (K,) and standardized scores (N, K)."""
    mean, std = scores.mean(axis=0), scores.std(axis=0)
    for name, spread in zip(config.members, np.ptp(scores, axis=0), strict=True):
        if spread == 0:
            raise SoundjudgeError(f"member {name} gives every pair the same score: remove it")
    return mean, std, (scores - mean) / std


def apply_ensemble(
    ensemble: Ensemble, member_scores: NDArray[np.float64], silent: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Scores (N,), 0 to 10, of `member_scores` (N, K); a score depends on its own pair alone.

    `silent` (N,): pairs whose sound is silent; they get the `silent_score`, if there is one.
    """
    assert member_scores.shape[1:] == (len(ensemble.members),), "scores need a column per member"
    standardized = (member_scores - np.asarray(ensemble.mean)) / np.asarray(ensemble.std)
    # A sum along the row, not a matrix product: BLAS may round differently for another N.
    blend = (standardized * np.asarray(ensemble.weights)).sum(axis=1)
    scores = np.clip(calibration.apply_calibration(ensemble.calibration, blend), 0.0, 10.0)
    if ensemble.silent_score is not None and silent is not None:
        scores[silent] = ensemble.silent_score
    return scores


def read_ensemble(path: Path) -> Ensemble:
    """The ensemble that the stage `ensemble` wrote; ParamsError names a wrong key."""
    return params.build(Ensemble, artifacts.read_json(path), str(path))


def identity_ensemble(member: str) -> Ensemble:
    """Weight 1, no shift, no stretch: the score of the member, clipped to 0..10."""
    return Ensemble(
        members=(member,),
        mean=(0.0,),
        std=(1.0,),
        weights=(1.0,),
        calibration=Calibration(method="linear", scores=(0.0, 10.0), ratings=(0.0, 10.0)),
    )
