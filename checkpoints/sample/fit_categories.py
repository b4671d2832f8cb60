"""Fits the named categories of sound that join the two towers beside their projections.

The package does not tell which category a class of a classifier is. Each classifier knows most of
the 82, in alphabetical order, so an order-keeping assignment of its classes to the categories is
all that is sought: the one whose log probabilities correlate best, over captioned recordings, with
how near the captions are to the categories. Permuted captions give a sum of correlations 8 to 16
standard deviations lower (benchmarks/towers_study.md).

N recordings, X classes of a classifier, C categories, K width of the text tower.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from soundjudge.clap.encoders.sound_categories import TEMPERATURE, SoundCategories

Floats = NDArray[np.float64]
Encode = Callable[[list[str]], Floats]  # texts -> outputs of the text tower


def blank_categories(
    phrases: Mapping[str, Sequence[str]],
    classes: int,
    center: Floats,
    encode: Encode,
    temperature: float = TEMPERATURE,
) -> SoundCategories:
    """Categories that read texts, and no sound yet; `center` (K,) is the mean caption."""
    count = max(map(len, phrases.values()))
    padded = [phrase for own in phrases.values() for phrase in _pad(own, count)]
    categories = SoundCategories(list(phrases), classes, count, len(center), temperature)
    categories.center.copy_(torch.from_numpy(center))
    for stored, texts in (
        (categories.phrases, padded),
        (categories.descriptions, [", ".join(own) for own in phrases.values()]),
    ):
        stored.copy_(torch.from_numpy(_unit(encode(texts) - center)).reshape(stored.shape))
    return categories


def fit_categories(
    categories: SoundCategories, log_probabilities: Sequence[Floats], captions: Floats
) -> None:
    """Fills in which class of each classifier is which category.

    `log_probabilities`: (N, X) per classifier; `captions`: outputs of the text tower (N, K).
    """
    near = categories.similarities(torch.from_numpy(captions).float()).double().numpy()
    near = _standardize(near)  # (N, C)
    owners = [assign_classes(_standardize(rows).T @ near / len(rows)) for rows in log_probabilities]
    set_evidence(categories, log_probabilities, owners)


def set_evidence(
    categories: SoundCategories,
    log_probabilities: Sequence[Floats],
    owners: Sequence[NDArray[np.int64]],
) -> None:
    """A category's evidence: the mean of its classes' log probabilities, each standardized.

    Standardized over the N recordings of `log_probabilities`, (N, X) per classifier. `owners`: the
    category of each class, (X,) per classifier. A category without a class has no evidence.
    """
    weights, biases = [], []
    count = np.zeros(len(categories.names))
    for rows, own in zip(log_probabilities, owners, strict=True):
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        matrix, bias = np.zeros((len(count), len(own))), np.zeros(len(count))
        matrix[own, np.arange(len(own))] = 1 / std
        bias[own] = -mean / std
        count[own] += 1
        weights.append(matrix)
        biases.append(bias)
    each = np.maximum(count, 1)
    with torch.no_grad():
        evidence = categories.evidence
        evidence.weight.copy_(torch.from_numpy(np.hstack(weights) / each[:, None]))
        evidence.bias.copy_(torch.from_numpy(np.sum(biases, axis=0) / each))
    categories.requires_grad_(False)


def assign_classes(affinity: Floats) -> NDArray[np.int64]:
    """The category of each class, rising, of the largest sum of affinities (X, C): (X,)."""
    classes, categories = affinity.shape
    best = np.full((classes + 1, categories + 1), -np.inf)  # of the first classes and categories
    best[0] = 0.0
    for k in range(classes):
        for c in range(k, categories):
            best[k + 1, c + 1] = max(best[k + 1, c], best[k, c] + affinity[k, c])
    own = np.empty(classes, dtype=np.int64)
    c = categories
    for k in reversed(range(classes)):
        while best[k + 1, c] == best[k + 1, c - 1]:
            c -= 1
        c -= 1
        own[k] = c
    return own


def _pad(phrases: Sequence[str], count: int) -> list[str]:
    return [*phrases, *[phrases[-1]] * (count - len(phrases))]


def _standardize(rows: Floats) -> Floats:
    standardized: Floats = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    return standardized


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
