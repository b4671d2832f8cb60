"""Caption metrics by reference captions: CIDEr-D and token F1.

N = clips, n = words of an n-gram.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError

MAX_N = 4
"the longest n-grams, in words"
SIGMA = 6.0
"standard deviation of the length penalty, in words"
SCALE = 10.0

Ngram = tuple[str, ...]


def tokenize_caption(text: str) -> list[str]:
    """The words of a caption in lower case, without punctuation."""
    return re.findall(r"\w+(?:['’]\w+)*", text.lower())


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """CIDEr-D of each caption, 0 to 10, by the references of all clips: (N,).

    Vedantam et al. 2015, "CIDEr: Consensus-based Image Description Evaluation", equations 2 and 3,
    and section 8 for -D: counts clipped to the reference's, a Gaussian of the difference in length.
    Inverse document frequencies count clips, so one clip alone has no score.
    """
    _check(candidates, references)
    if len(candidates) < 2:
        raise SoundjudgeError("CIDEr-D compares clips with each other: it needs at least 2.")
    counts = [[_ngrams(tokenize_caption(text)) for text in texts] for texts in references]
    document_counts = Counter(ngram for texts in counts for ngram in set().union(*texts))
    idf = {ngram: math.log(len(candidates) / count) for ngram, count in document_counts.items()}
    unseen_idf = math.log(len(candidates))
    scores = []
    for caption, texts in zip(candidates, counts, strict=True):
        candidate = _weigh(_ngrams(tokenize_caption(caption)), idf, unseen_idf)
        similarities = [_similarity(candidate, _weigh(text, idf, unseen_idf)) for text in texts]
        scores.append(SCALE * sum(similarities) / len(similarities))
    return np.array(scores)


def token_f1(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """The highest F1 of the words of each caption and of a reference, 0 to 1: (N,).

    2 * common / (words of both); repeated words count each time, their order does not.
    """
    _check(candidates, references)
    return np.array(
        [
            max(_f1(tokenize_caption(caption), tokenize_caption(text)) for text in texts)
            for caption, texts in zip(candidates, references, strict=True)
        ]
    )


def _check(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    assert len(candidates) == len(references), (
        f"{len(candidates)} captions have {len(references)} lists of references"
    )
    for number, texts in enumerate(references):
        if not any(tokenize_caption(text) for text in texts):
            raise SoundjudgeError(f"the references of clip {number} have no words.")


def _ngrams(tokens: Sequence[str]) -> Counter[Ngram]:
    return Counter(
        tuple(tokens[start : start + n])
        for n in range(1, MAX_N + 1)
        for start in range(len(tokens) - n + 1)
    )


class _TfIdf:
    """The n-grams of one text, each count times its inverse document frequency."""

    def __init__(self, weights: dict[Ngram, float], length: int) -> None:
        self.weights, self.length = weights, length
        squares = [0.0] * (MAX_N + 1)
        for ngram, weight in weights.items():
            squares[len(ngram)] += weight**2
        self.norms = [math.sqrt(square) for square in squares]  # by n


def _weigh(counts: Counter[Ngram], idf: dict[Ngram, float], unseen_idf: float) -> _TfIdf:
    weights = {ngram: count * idf.get(ngram, unseen_idf) for ngram, count in counts.items()}
    return _TfIdf(weights, sum(count for ngram, count in counts.items() if len(ngram) == 1))


def _similarity(candidate: _TfIdf, reference: _TfIdf) -> float:
    """Mean over n of the clipped cosine, times the length penalty: 0 to 1."""
    products = [0.0] * (MAX_N + 1)
    for ngram, weight in candidate.weights.items():
        other = reference.weights.get(ngram, 0.0)
        products[len(ngram)] += min(weight, other) * other
    total = 0.0
    for n in range(1, MAX_N + 1):
        norm = candidate.norms[n] * reference.norms[n]
        total += products[n] / norm if norm else 0.0
    penalty = math.exp(-((candidate.length - reference.length) ** 2) / (2 * SIGMA**2))
    return penalty * total / MAX_N


def _f1(candidate: Sequence[str], reference: Sequence[str]) -> float:
    common = sum((Counter(candidate) & Counter(reference)).values())
    return 2 * common / (len(candidate) + len(reference)) if common else 0.0
