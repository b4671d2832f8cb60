"""Pairs of clips and texts with training targets, and a model's scores of them.

Letters: P = pairs, B = pairs at once, M = audio tokens, D = encoder width, L = lists,
S = pairs in a list.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.runtime.devices import copy_to
from soundjudge.training.loop.objective import Indices

SPLITS = ("train", "validation", "test")  # of captioned clips


@dataclass(frozen=True, kw_only=True)
class TrainingPairs:
    """P pairs as indices into distinct clips and texts: a million take a few megabytes."""

    clip_ids: Sequence[str]
    texts: Sequence[str]
    clip: Indices  # (P,) into clip_ids
    text: Indices  # (P,) into texts
    targets: NDArray[np.float32]  # (P,)
    weights: NDArray[np.float32] | None  # (P,) of mean 1; None = equal weights

    def __len__(self) -> int:
        return len(self.clip)

    def clip_ids_of(self, items: Indices) -> list[str]:
        """The clip ids of the pairs `items` (B,)."""
        return [self.clip_ids[i] for i in self.clip[items]]

    def texts_of(self, items: Indices) -> list[str]:
        """The texts of the pairs `items` (B,)."""
        return [self.texts[i] for i in self.text[items]]

    def targets_of(self, items: Indices, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Targets and weights of the pairs `items` (L, S), each (L, S)."""
        targets = copy_to(torch.from_numpy(self.targets[items]), device)
        if self.weights is None:
            return targets, None
        return targets, copy_to(torch.from_numpy(self.weights[items]), device)


class PairReader:
    """Reads what the language model needs of training pairs; each text is tokenized once."""

    def __init__(self, lalm: Lalm, features: ArrayStore, pairs: TrainingPairs) -> None:
        self.lalm, self.features, self.pairs = lalm, features, pairs
        rows = lalm.tokenize(pairs.texts)
        self.ends = np.cumsum([len(row) for row in rows])
        self.ids = np.fromiter((token for row in rows for token in row), dtype=np.int32)

    def tokens_of(self, items: Indices) -> list[list[int]]:
        """The token ids of the texts of the pairs `items` (B,)."""
        return [
            self.ids[self.ends[t - 1] if t else 0 : self.ends[t]].tolist()
            for t in self.pairs.text[items]
        ]

    def features_of(self, items: Indices) -> Tensor:
        """The stored features of the sounds of the pairs `items` (B,): (B, M, D)."""
        return gather_features(self.features, self.pairs.clip_ids_of(items))


def check_splits(train: Sequence[str], validation: Sequence[str]) -> None:
    """Raises SoundjudgeError unless both name splits, each once and none in both."""
    for key, splits in (("train_splits", train), ("validation_splits", validation)):
        if not splits or len({*splits}) < len(splits) or not {*splits} <= {*SPLITS}:
            raise SoundjudgeError(f"{key} is {list(splits)}: name some of {SPLITS}, each once")
    if both := sorted({*train} & {*validation}):
        raise SoundjudgeError(
            f"train_splits and validation_splits both name {both[0]}: a training that has learned "
            "what it is validated on selects no epoch"
        )


def make_pairs(
    clip_ids: pd.Series, texts: pd.Series, targets: ArrayLike, weights: ArrayLike | None = None
) -> TrainingPairs:
    """TrainingPairs of columns of equal length (P,), in their order."""
    clip, distinct_clips = pd.factorize(clip_ids)
    text, distinct_texts = pd.factorize(texts)
    return TrainingPairs(
        clip_ids=list(map(str, distinct_clips)),
        texts=list(map(clean_text, distinct_texts)),
        clip=clip.astype(np.int64),
        text=text.astype(np.int64),
        targets=np.asarray(targets, dtype=np.float32),
        weights=None if weights is None else np.asarray(weights, dtype=np.float32),
    )


def gather_features(features: ArrayStore, clip_ids: Sequence[str]) -> Tensor:
    """The encoder's features of the clips as they are stored: (B, M, D)."""
    return torch.from_numpy(features.gather(clip_ids))


def iter_share(items: int, batch_size: int) -> Iterator[Indices]:
    """Batches of so many items: of all, or under torchrun of each process's share."""
    state = PartialState()
    share = np.array_split(np.arange(items), state.num_processes)[state.process_index]
    return (share[start : start + batch_size] for start in range(0, len(share), batch_size))


@torch.no_grad()
def predict_scores(
    lalm: Lalm, features: ArrayStore, pairs: TrainingPairs, batch_size: int
) -> NDArray[np.float64]:
    """The model's scores of all pairs, (P,) on its -1..1 scale, in its present mode.

    Under torchrun each process computes its share, and all get the whole.
    """
    scores: list[Tensor] = []
    for items in iter_share(len(pairs), batch_size):
        audio_features = gather_features(features, pairs.clip_ids_of(items))  # (B, M, D)
        scores.append(lalm.scores(audio_features, pairs.texts_of(items)))  # (B,)
    own = torch.cat(scores).cpu().double().tolist() if scores else []
    return np.array(gather_object(own))
