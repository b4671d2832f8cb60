"""How near captions come to those that people gave the same clip: CIDEr-D and token F1.

N = clips, n = words of an n-gram.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError

LONGEST = 4
"n-grams of 1 to so many words"
SIGMA = 6.0
"words by which lengths may differ before it costs much"
SCALE = 10.0

Ngrams = Counter[tuple[str, ...]]


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return re.findall(r"\w+(?:['’]\w+)*", text.lower())


def cider_d(said: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """CIDEr-D of each caption, 0 to 10, by the references of all clips: (N,).

    Vedantam et al. 2015, "CIDEr: Consensus-based Image Description Evaluation", equations 2 and 3,
    and section 8 for -D: counts clipped to the reference's, a Gaussian of the difference in length.
    n-grams weigh by how few clips have them, so one clip alone has no score.
    """
    _check(said, references)
    if len(said) < 2:
        raise SoundjudgeError("CIDEr-D compares clips with each other: it needs at least 2.")
    counted = [[_ngrams(words(text)) for text in texts] for texts in references]
    clips = Counter(gram for texts in counted for gram in set().union(*texts))
    rarity = {gram: math.log(len(said) / count) for gram, count in clips.items()}
    unseen = math.log(len(said))
    scores = []
    for caption, texts in zip(said, counted, strict=True):
        given = _weighted(_ngrams(words(caption)), rarity, unseen)
        alike = [_likeness(given, _weighted(text, rarity, unseen)) for text in texts]
        scores.append(SCALE * sum(alike) / len(alike))
    return np.array(scores)


def token_f1(said: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """F1 of the words of each caption and of its nearest reference, 0 to 1, order apart: (N,).

    2 * common / (words said + words of the reference); a word counts as often as it stands there.
    """
    _check(said, references)
    return np.array(
        [
            max(_f1(words(caption), words(text)) for text in texts)
            for caption, texts in zip(said, references, strict=True)
        ]
    )


def _check(said: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(said) != len(references):
        raise SoundjudgeError(
            f"{len(said)} captions have {len(references)} lists of references: each needs one."
        )
    for number, texts in enumerate(references):
        if not any(words(text) for text in texts):
            raise SoundjudgeError(f"the references of clip {number} have no words.")


def _ngrams(tokens: Sequence[str]) -> Ngrams:
    return Counter(
        tuple(tokens[start : start + n])
        for n in range(1, LONGEST + 1)
        for start in range(len(tokens) - n + 1)
    )


class _Vector:
    """The n-grams of one text, each count times its rarity."""

    def __init__(self, weights: dict[tuple[str, ...], float], length: int) -> None:
        self.weights, self.length = weights, length
        squares = [0.0] * (LONGEST + 1)
        for gram, weight in weights.items():
            squares[len(gram)] += weight**2
        self.norms = [math.sqrt(square) for square in squares]  # by n


def _weighted(counts: Ngrams, rarity: dict[tuple[str, ...], float], unseen: float) -> _Vector:
    weights = {gram: count * rarity.get(gram, unseen) for gram, count in counts.items()}
    return _Vector(weights, sum(count for gram, count in counts.items() if len(gram) == 1))


def _likeness(said: _Vector, reference: _Vector) -> float:
    """Mean over n of the clipped cosine, times the penalty of the lengths: 0 to 1."""
    common = [0.0] * (LONGEST + 1)
    for gram, weight in said.weights.items():
        other = reference.weights.get(gram, 0.0)
        common[len(gram)] += min(weight, other) * other
    total = 0.0
    for n in range(1, LONGEST + 1):
        norm = said.norms[n] * reference.norms[n]
        total += common[n] / norm if norm else 0.0
    penalty = math.exp(-((said.length - reference.length) ** 2) / (2 * SIGMA**2))
    return penalty * total / LONGEST


def _f1(said: Sequence[str], reference: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(reference)).values())
    return 2 * common / (len(said) + len(reference)) if common else 0.0
