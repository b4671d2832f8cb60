"""Sounds and texts that belong together in a training, and what a model says of them.

Letters: P = pairs, B = pairs at once, M = audio tokens, D = encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from soundjudge.data.shards import Rows
from soundjudge.model.lalm import Lalm

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """P pairs as indices into distinct clips and texts, so that a million take a few megabytes."""

    clip_ids: Sequence[str]
    texts: Sequence[str]
    clip: Indices  # (P,) into clip_ids
    text: Indices  # (P,) into texts
    targets: NDArray[np.float32]  # (P,)

    def __len__(self) -> int:
        return len(self.clip)

    def sounds_of(self, items: Indices) -> list[str]:
        """The clip ids of the pairs `items` (B,)."""
        return [self.clip_ids[i] for i in self.clip[items]]

    def texts_of(self, items: Indices) -> list[str]:
        """The texts of the pairs `items` (B,)."""
        return [self.texts[i] for i in self.text[items]]


def pairs(clip_ids: pd.Series, texts: pd.Series, targets: ArrayLike) -> Pairs:
    """Rows of equal length as Pairs, in their order."""
    clip, distinct_clips = pd.factorize(clip_ids)
    text, distinct_texts = pd.factorize(texts)
    return Pairs(
        clip_ids=[str(name) for name in distinct_clips],
        texts=[str(words) for words in distinct_texts],
        clip=clip.astype(np.int64),
        text=text.astype(np.int64),
        targets=np.asarray(targets, dtype=np.float32),
    )


def gathered(features: Rows, clip_ids: Sequence[str]) -> Tensor:
    """The encoder's features of some clips in float32: (B, M, D)."""
    return torch.from_numpy(features.gather(clip_ids)).float()


@torch.no_grad()
def scores(lalm: Lalm, features: Rows, given: Pairs, batch_size: int) -> NDArray[np.float64]:
    """What the model, in the mode that it is in, says of every pair: (P,) on its -1..1 scale."""
    blocks = []
    for start in range(0, len(given), batch_size):
        items = np.arange(start, min(start + batch_size, len(given)))
        sounds = gathered(features, given.sounds_of(items))
        blocks.append(lalm.scores(sounds, given.texts_of(items)).double().cpu().numpy())
    return np.concatenate(blocks)
