"""Scores of rated pairs by ensembles that saw no rating of theirs, and what is chosen by them.

N = pairs.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError
from soundjudge.reporting import metrics
from soundjudge.scoring.ensemble import calibration, ensemble
from soundjudge.scoring.ensemble.ensemble import Ensemble, EnsembleConfig
from soundjudge.scoring.ensemble.folds import RatedScores, make_folds

CHOICES: tuple[Literal["mean", "kinds", "nnls", "ridge", "greedy"], ...] = (
    "mean", "kinds", "nnls", "ridge", "greedy",
)  # fmt: skip
MEMBER = "member "  # how the name of a member alone begins, beside the methods


@dataclass(frozen=True, kw_only=True)
class CrossFit:
    """Each pair's score by a fit on the folds that do not hold it out."""

    scores: NDArray[np.float64]  # (N,) 0 to 10
    order: NDArray[np.float64]  # (N,) what SRCC is of
    """The scores; where folds hold out generators, the weighted sums without a calibration. That of
    a fold has the mean rating of the other generators: it puts a generator of high ratings too low,
    as no single ensemble does (benchmarks/ensembles.md)."""
    weak: dict[str, str]  # folds whose fit failed -> why; their pairs have the mean rating

    def numbers(self, rating: NDArray[np.float64]) -> dict[str, float]:
        """SRCC of the order and MSE of the scores against ratings (N,)."""
        return {"srcc": metrics.srcc(self.order, rating), "mse": metrics.mse(self.scores, rating)}


def crossfit(pairs: RatedScores, config: EnsembleConfig) -> CrossFit:
    """Scores each pair by an ensemble that was chosen and fitted without the pair's fold.

    A fold without a fit (a member that is constant there, scores that do not rise) gives its pairs
    the mean rating of the others. Raises SoundjudgeError where every fold is such.
    """
    held_out, weak = np.empty(len(pairs.rating)), {}
    sums = np.zeros(len(pairs.rating))  # of scores standardized over all pairs
    mean, std = pairs.scores.mean(axis=0), pairs.scores.std(axis=0)
    folds = make_folds(pairs, config.folds, config.folds_by, config.seed)
    for fold in folds:
        inside, outside = fold.parts(pairs)
        try:
            fitted = fit(inside, config)
        except SoundjudgeError as error:
            weak[fold.name] = str(error)
            held_out[fold.test] = inside.rating.mean()
        else:
            held_out[fold.test] = ensemble.apply_ensemble(fitted, outside.scores)
            sums[fold.test] = (outside.scores - mean) / std @ np.asarray(fitted.weights)
    if len(weak) == len(folds):
        raise SoundjudgeError(f"no fold of validation can be fitted: {next(iter(weak.values()))}")
    of_generators = folds[0].generator is not None
    return CrossFit(scores=held_out, order=sums if of_generators else held_out, weak=weak)


def fit(pairs: RatedScores, config: EnsembleConfig) -> Ensemble:
    """The ensemble by the method and the calibration that `choose` has for all these pairs."""
    return ensemble.fit_ensemble(pairs.scores, pairs.rating, choose(pairs, config))


def choose(pairs: RatedScores, config: EnsembleConfig) -> EnsembleConfig:
    """The config with auto replaced: method by cross-fitted SRCC, calibration by cross-fitted MSE.

    Where no method has a higher SRCC than the best member alone, it is best, and that member.
    """
    if config.method == "auto":
        numbers = compare_methods(pairs, config)
        if not numbers:
            raise SoundjudgeError("no member's scores rise with the ratings on validation")
        numbers = {
            name: row
            for name, row in numbers.items()
            if name.removeprefix(MEMBER) not in config.zero_weight
        }
        chosen = max(numbers, key=lambda name: numbers[name]["srcc"])
        method = next((m for m in CHOICES if m == chosen), None)
        alone = chosen.removeprefix(MEMBER) if method is None else None
        config = replace(config, method=method or "best", best_member=alone)
    if config.calibration == "auto":
        errors = {}
        for method in get_args(calibration.Method):
            held_out = crossfit(pairs, replace(config, calibration=method))
            errors[method] = metrics.mse(held_out.scores, pairs.rating)
        config = replace(config, calibration=min(errors, key=errors.__getitem__))
    return config


def compare_methods(pairs: RatedScores, config: EnsembleConfig) -> dict[str, dict[str, float]]:
    """Cross-fitted SRCC and MSE, with a linear calibration, of every method and single member.

    A member alone is "member <name>"; what no fold can fit is left out.
    """
    make_folds(pairs, config.folds, config.folds_by, config.seed)  # its errors are no method's
    numbers, fixed = {}, replace(config, calibration="linear")
    for k, (name, checkpoint) in enumerate(config.members.items()):
        alone = replace(
            fixed,
            method="mean",
            members={name: checkpoint},
            kinds={},
            zero_weight=(),
            least_weight={},
            best_member=None,
        )
        if row := _numbers(pairs.of_member(k), alone):
            numbers[f"{MEMBER}{name}"] = row
    for method in CHOICES:
        if row := _numbers(pairs, replace(fixed, method=method)):
            numbers[method] = row
    return numbers


def _numbers(pairs: RatedScores, config: EnsembleConfig) -> dict[str, float] | None:
    try:
        return crossfit(pairs, config).numbers(pairs.rating)
    except SoundjudgeError:
        return None
