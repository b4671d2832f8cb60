"""Trains the language model to caption sounds: next-token prediction.

The first of the three trainings of the TMU system. The items of the loop are captions; the score
head does not change.
Letters: B = captions at once, M = audio tokens, D = encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import pandas as pd
import torch
from accelerate.utils import gather_object
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.adaptation import LlmTraining
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.ranges import LARGEST_BATCH, check_range
from soundjudge.training.caption.caption_report import Generation
from soundjudge.training.lalm.training_pairs import (
    PairReader,
    TrainingPairs,
    check_splits,
    gather_features,
    iter_share,
    make_pairs,
)
from soundjudge.training.loop import loop
from soundjudge.training.loop.objective import Indices, Inputs, ItemLoss
from soundjudge.training.loop.optimization import Optimization


@dataclass(frozen=True, kw_only=True)
class CaptionConfig:
    """Section `caption` of params.yaml."""

    model: LalmConfig
    llm: LlmTraining
    train_splits: tuple[str, ...]  # of the captioned corpora
    validation_splits: tuple[str, ...]
    eval_batch_size: int  # captions per batch in validation
    seed: int
    optimization: Optimization  # its items are captions
    generation: Generation = Generation()

    def __post_init__(self) -> None:
        check_splits(self.train_splits, self.validation_splits)
        check_range(self, "eval_batch_size", least=1, most=LARGEST_BATCH)


def select_captioned(
    captions: pd.DataFrame, clips: pd.DataFrame, splits: Sequence[str], key: str
) -> TrainingPairs:
    """The captions whose clips are in `splits`, the value of `caption.<key>`.

    Raises SoundjudgeError if there are none.
    """
    split = captions["clip_id"].map(clips.set_index("clip_id")["split"])
    rows = captions[split.isin(splits)]
    if rows.empty:
        raise SoundjudgeError(
            f"caption.{key} is {list(splits)}, and no captioned clip is in it: choose among "
            f"{sorted(split.dropna().unique())}."
        )
    return make_pairs(rows["clip_id"], rows["text"], np.ones(len(rows)))


def train(
    lalm: Lalm,
    features: ArrayStore,
    train_pairs: TrainingPairs,
    validation_pairs: TrainingPairs,
    config: CaptionConfig,
    **options: Unpack[loop.RunOptions],
) -> loop.TrainingResult:
    """Trains `lalm` in place and keeps the epoch with the lowest validation loss."""
    lalm.prepare_for_training(config.llm)

    reader = PairReader(lalm, features, train_pairs)

    def read(items: Indices) -> Inputs:
        sequences = lalm.caption_sequences(reader.tokens_of(items))
        return sequences, reader.features_of(items)

    def loss(lalm: Lalm, inputs: Inputs, _: torch.Generator) -> Tensor:
        return lalm.sequence_caption_loss(*inputs)

    def validate() -> float:
        return -validation_loss(lalm, features, validation_pairs, config.eval_batch_size)

    result = loop.train_module(
        lalm,
        len(train_pairs),
        ItemLoss(read=read, loss=loss),
        optimization=config.optimization,
        seed=config.seed,
        validate=validate,
        epoch_zero=False,
        **options,
    )
    lalm.merge_and_unload()
    return result


def summarize(result: loop.TrainingResult) -> dict[str, float]:
    """The best epoch and its validation loss."""
    assert result.best_value is not None, "captioning always validates"
    return {"best_epoch": result.best_epoch, "validation_loss": -result.best_value}


def validation_loss(
    lalm: Lalm, features: ArrayStore, pairs: TrainingPairs, batch_size: int
) -> float:
    """The mean loss over all captions, whatever the batch size.

    Under torchrun each process computes its share, and all get the whole.
    """
    losses: list[tuple[Tensor, int]] = []
    for items in iter_share(len(pairs), batch_size):
        audio_features = gather_features(features, pairs.clip_ids_of(items))  # (B, M, D)
        losses.append((lalm.caption_loss(audio_features, pairs.texts_of(items)), len(items)))
    total = sum(float(loss) * captions for loss, captions in losses)
    return float(sum(gather_object([total]))) / len(pairs)
