"""Named categories of sound, by which towers that never met can be compared.

The classifiers of aisfx were trained on sound-effect libraries whose recordings bear the 82
categories of the Universal Category System, that of YAMNet on the 521 classes of AudioSet, and a
sentence encoder reads their names. So both sides say of each category how likely it is, and how
well the two agree needs no example of the sound.

B batch, X classes of all classifiers, C categories, P phrases per category, K width of the text
tower.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError

MAX_CATEGORIES = 4096
MAX_PHRASES = 32  # P; more is nonsense, and fills the memory
TEMPERATURE = 0.2  # of the softmax over categories of a text, where towers.json has none
functional = nn.functional


class SoundCategories(nn.Module):
    """Sounds and texts as unit vectors over categories, whose dot product is a correlation."""

    center: Tensor  # (K,) the mean caption, which says nothing about a sound
    descriptions: Tensor  # (C, K) each category's phrases as one text, centered, unit
    phrases: Tensor  # (C, P, K) the same one by one; the last is repeated where there are fewer

    def __init__(
        self,
        names: Sequence[str],
        classes: int,
        phrases: int,
        width: int,
        temperature: float = TEMPERATURE,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.temperature = temperature
        self.evidence = nn.Linear(classes, len(names))  # X -> C
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("descriptions", torch.zeros(len(names), width))
        self.register_buffer("phrases", torch.zeros(len(names), phrases, width))

    def of_sounds(self, log_probabilities: Tensor) -> Tensor:
        """The classifiers' log probabilities or logits (B, X) as unit vectors (B, C)."""
        return _direction(self.evidence(log_probabilities))

    def of_texts(self, pooled: Tensor) -> Tensor:
        """Outputs of the text tower (B, K) as unit vectors (B, C)."""
        return _direction((self.similarities(pooled) / self.temperature).softmax(dim=-1))

    def similarities(self, pooled: Tensor) -> Tensor:
        """Cosines with the description and with the nearest phrase, averaged: (B, K) -> (B, C)."""
        centered = functional.normalize(pooled - self.center, dim=-1)
        cosines = (centered @ self.phrases.flatten(0, 1).T).reshape(-1, *self.phrases.shape[:2])
        means: Tensor = (cosines.amax(dim=2) + centered @ self.descriptions.T) / 2
        return means


def describe_categories(categories: SoundCategories) -> dict[str, Any]:
    """The record of which `blank_categories` makes such categories."""
    record = {"names": list(categories.names), "phrases": categories.phrases.shape[1]}
    if categories.temperature != TEMPERATURE:
        record["temperature"] = categories.temperature
    return record


def blank_categories(
    record: Mapping[str, Any] | None, classes: Sequence[int], width: int
) -> SoundCategories | None:
    """Categories as `record` describes them, to be filled; None without a record.

    Raises SoundjudgeError for sizes and a temperature that cannot be.
    """
    if record is None:
        return None
    names, phrases = record["names"], record["phrases"]
    if not 1 <= len(names) <= MAX_CATEGORIES or not classes:
        raise SoundjudgeError(
            f"towers.json has {len(names)} categories and {len(classes)} classifiers: get it again."
        )
    if type(phrases) is not int or not 1 <= phrases <= MAX_PHRASES:
        raise SoundjudgeError(f"towers.json: phrases is {phrases!r}, not 1 to {MAX_PHRASES}.")
    temperature = record.get("temperature", TEMPERATURE)
    if type(temperature) is not float or not 0 < temperature < math.inf:
        raise SoundjudgeError(f"towers.json: temperature is {temperature!r}, not above 0.")
    return SoundCategories(names, sum(classes), phrases, width, temperature)


def join_vectors(parts: Sequence[Tensor]) -> Tensor:
    """Unit vectors (B, sum of widths) whose cosine is the mean of the parts' (B, own width)."""
    joined: Tensor = torch.cat(list(parts), dim=-1) * (1 / len(parts)) ** 0.5
    return joined


def _direction(rows: Tensor) -> Tensor:
    return functional.normalize(rows - rows.mean(dim=-1, keepdim=True), dim=-1)
