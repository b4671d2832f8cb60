"""Folds of rated pairs that hold out pairs, whole generators, whole texts, or both at once.

N = pairs, K = members.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError

Values: TypeAlias = NDArray[np.float64]
Names: TypeAlias = NDArray[np.object_]
Mask: TypeAlias = NDArray[np.bool_]
FoldsBy = Literal["none", "generator", "text", "both"]


@dataclass(frozen=True, kw_only=True)
class RatedScores:
    """Members' scores of rated pairs, with what folds are made by."""

    scores: Values  # (N, K)
    rating: Values  # (N,) mean rating, 0 to 10
    texts: Names | None = None  # (N,)
    generators: Names | None = None  # (N,) model_id, None where there is none
    refits: Mapping[str, Values] = field(default_factory=dict)
    "by generator: the scores (N, K) of members of which some were refitted without it"

    def part(self, rows: Mask, generator: str | None = None) -> "RatedScores":
        """Some rows, with the scores of refits without `generator` where there are any."""
        return replace(
            self,
            scores=self.refits.get(generator or "", self.scores)[rows],
            rating=self.rating[rows],
            texts=None if self.texts is None else self.texts[rows],
            generators=None if self.generators is None else self.generators[rows],
            refits={name: scores[rows] for name, scores in self.refits.items()},
        )

    def of_member(self, number: int) -> "RatedScores":
        """The same pairs with one member alone."""
        refits = {name: scores[:, [number]] for name, scores in self.refits.items()}
        return replace(self, scores=self.scores[:, [number]], refits=refits)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Pairs to score, and pairs that share with them no group by which folds are made."""

    name: str
    fit: Mask  # (N,)
    test: Mask  # (N,)
    generator: str | None = None  # that no pair of the fit is from

    def parts(self, pairs: RatedScores) -> tuple[RatedScores, RatedScores]:
        """The pairs of the fit and the pairs to score."""
        return pairs.part(self.fit, self.generator), pairs.part(self.test, self.generator)


def make_folds(pairs: RatedScores, count: int, by: FoldsBy, seed: int) -> list[Fold]:
    """Folds that test every pair once: `count` of pairs or of texts, one per generator.

    both: one per generator and group of texts, fitted without that generator and without those
    texts. Raises SoundjudgeError where there are too few pairs, texts or generators.
    """
    total = len(pairs.rating)
    if total < 2 * count:
        raise SoundjudgeError(f"folds is {count}: too many for {total} validation pairs")
    if by == "none":
        number = np.random.default_rng(seed).permutation(total) % count  # (N,)
        tests = [(f"{n + 1} of {count}", number == n) for n in range(count)]
        return [Fold(name=name, fit=~test, test=test) for name, test in tests]
    texts = list(_text_groups(pairs, count, seed)) if by in ("text", "both") else []
    if by == "text":
        return [Fold(name=name, fit=~inside, test=inside) for name, inside in texts]
    everything = np.ones(total, dtype=np.bool_)
    return [
        Fold(
            name=f"{generator}, {name}" if name else f"without {generator}",
            fit=~of_generator & (~inside if name else everything),
            test=of_generator & inside,
            generator=generator,
        )
        for generator, of_generator in _generators(pairs)
        for name, inside in texts or [("", everything)]
        if (of_generator & inside).any()
    ]


def _generators(pairs: RatedScores) -> Iterator[tuple[str, Mask]]:
    names = pairs.generators
    if names is None or any(name is None for name in names):
        raise SoundjudgeError(
            "ensemble.folds_by needs the generator of every rated validation pair: give "
            "validation.csv of prepare.xacle a model_id in every row, or choose text or none"
        )
    distinct = sorted(set(names))
    if len(distinct) < 2:
        raise SoundjudgeError(
            f"ensemble.folds_by: all validation pairs are from {distinct[0]}: choose text or none"
        )
    for name in distinct:
        yield name, names == name


def _text_groups(pairs: RatedScores, count: int, seed: int) -> Iterator[tuple[str, Mask]]:
    assert pairs.texts is not None, "folds by text need the texts"
    distinct, code = np.unique(pairs.texts, return_inverse=True)
    if len(distinct) < count:
        raise SoundjudgeError(f"folds is {count}: too many for {len(distinct)} validation texts")
    group = np.random.default_rng(seed).permutation(len(distinct)) % count
    for n in range(count):
        yield f"texts {n + 1} of {count}", group[code] == n
