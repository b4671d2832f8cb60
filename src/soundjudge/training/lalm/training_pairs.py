"""Sounds and texts that belong together in a training, and what a model says of them.

Letters: P = pairs, B = pairs at once, M = audio tokens, D = encoder width, L = lists,
S = pairs in a list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.model.lalm.lalm import Lalm

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TrainingPairs:
    """P pairs as indices into distinct clips and texts, so that a million take a few megabytes."""

    clip_ids: Sequence[str]
    texts: Sequence[str]
    clip: Indices  # (P,) into clip_ids
    text: Indices  # (P,) into texts
    targets: NDArray[np.float32]  # (P,)
    weights: NDArray[np.float32] | None  # (P,) of mean 1; None: all count alike

    def __len__(self) -> int:
        return len(self.clip)

    def sounds_of(self, items: Indices) -> list[str]:
        """The clip ids of the pairs `items` (B,)."""
        return [self.clip_ids[i] for i in self.clip[items]]

    def texts_of(self, items: Indices) -> list[str]:
        """The texts of the pairs `items` (B,)."""
        return [self.texts[i] for i in self.text[items]]

    def wanted(self, items: Indices, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Targets and weights of the pairs `items` (L, S), each in their shape."""
        targets = torch.from_numpy(self.targets[items]).to(device)
        if self.weights is None:
            return targets, None
        return targets, torch.from_numpy(self.weights[items]).to(device)


def make_pairs(
    clip_ids: pd.Series, texts: pd.Series, targets: ArrayLike, weights: ArrayLike | None = None
) -> TrainingPairs:
    """Rows of equal length as Pairs, in their order."""
    clip, distinct_clips = pd.factorize(clip_ids)
    text, distinct_texts = pd.factorize(texts)
    return TrainingPairs(
        clip_ids=[str(name) for name in distinct_clips],
        texts=[str(words) for words in distinct_texts],
        clip=clip.astype(np.int64),
        text=text.astype(np.int64),
        targets=np.asarray(targets, dtype=np.float32),
        weights=None if weights is None else np.asarray(weights, dtype=np.float32),
    )


def gather_features(features: ArrayStore, clip_ids: Sequence[str]) -> Tensor:
    """The encoder's features of some clips in float32: (B, M, D)."""
    return torch.from_numpy(features.gather(clip_ids)).float()


@torch.no_grad()
def predict_scores(
    lalm: Lalm, features: ArrayStore, given: TrainingPairs, batch_size: int
) -> NDArray[np.float64]:
    """What the model, in the mode that it is in, says of every pair: (P,) on its -1..1 scale.

    Under torchrun each process takes its share, and all get all.
    """
    place = PartialState()
    share = np.array_split(np.arange(len(given)), place.num_processes)[place.process_index]
    said: list[float] = []
    for start in range(0, len(share), batch_size):
        items = share[start : start + batch_size]
        sounds = gather_features(features, given.sounds_of(items))
        said += lalm.scores(sounds, given.texts_of(items)).double().cpu().tolist()
    return np.array(gather_object(said))
