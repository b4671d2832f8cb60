"""Teaches the language model to hear: it learns to say the caption of a sound, word by word.

The first of the three trainings of the TMU system. The items of the loop are captions; the score
head has no part in it and stays as it is.
Letters: B = captions at once, M = audio tokens, D = encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.model.lalm.adaptation import LlmTraining
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.training.captions.caption_report import Generation
from soundjudge.training.lalm.training_pairs import TrainingPairs, gather_features, make_pairs
from soundjudge.training.loop import loop
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.loop.updates import Indices


@dataclass(frozen=True, kw_only=True)
class CaptionConfig:
    """Section `caption` of params.yaml."""

    model: LalmConfig
    llm: LlmTraining  # how the language model learns along with the projector
    train_splits: tuple[str, ...]  # of the caption corpora
    validation_splits: tuple[str, ...]
    eval_batch_size: int  # captions at once in validation
    seed: int
    optimization: Optimization  # its items are captions
    generation: Generation


def select_captioned(
    captions: pd.DataFrame, clips: pd.DataFrame, splits: Sequence[str], where: str
) -> TrainingPairs:
    """The captions whose clips are in `splits`; ValueError, naming `where`, if there are none."""
    split = captions["clip_id"].map(clips.set_index("clip_id")["split"])
    rows = captions[split.isin(splits)]
    if rows.empty:
        raise ValueError(
            f"{where} is {list(splits)}, and no captioned clip is in it: there are "
            f"{sorted(split.dropna().unique())}."
        )
    return make_pairs(rows["clip_id"], rows["text"], np.ones(len(rows)))


def train(
    lalm: Lalm,
    features: ArrayStore,
    train_pairs: TrainingPairs,
    validation_pairs: TrainingPairs,
    captioning: CaptionConfig,
    *,
    work: Path,
    device: str,
    log: loop.Log,
) -> loop.TrainingResult:
    """Trains `lalm` in place; the epoch with the lowest loss on held-out captions is kept."""
    lalm.prepare_for_training(captioning.llm)

    def loss(lalm: Lalm, items: Indices, _: torch.Generator) -> Tensor:
        return caption_loss(lalm, features, train_pairs, items)

    def validate() -> float:
        return -validation_loss(lalm, features, validation_pairs, captioning.eval_batch_size)

    fit = loop.train_module(
        lalm,
        len(train_pairs),
        loss,
        optimization=captioning.optimization,
        seed=captioning.seed,
        validate=validate,
        work=work,
        device=device,
        log=log,
        epoch_zero=False,
    )
    lalm.merge_and_unload()
    return fit


def summarize(fit: loop.TrainingResult) -> dict[str, float]:
    """The epoch that is kept, and its loss on held-out captions."""
    assert fit.best_value is not None, "captioning always validates"
    return {"best_epoch": fit.best_epoch, "validation_loss": -fit.best_value}


def caption_loss(lalm: Lalm, features: ArrayStore, given: TrainingPairs, items: Indices) -> Tensor:
    """Next-token cross-entropy, mean over the captions `items` (B,)."""
    sounds = gather_features(features, given.sounds_of(items))  # (B, M, D)
    return lalm.caption_loss(sounds, given.texts_of(items))


def validation_loss(
    lalm: Lalm, features: ArrayStore, given: TrainingPairs, batch_size: int
) -> float:
    """The same over all captions, whatever the size of the batches.

    Under torchrun each process takes its share, and all get the whole.
    """
    place = PartialState()
    share = np.array_split(np.arange(len(given)), place.num_processes)[place.process_index]
    total = 0.0
    for start in range(0, len(share), batch_size):
        items = share[start : start + batch_size]
        total += float(caption_loss(lalm, features, given, items)) * len(items)
    return float(sum(gather_object([total]))) / len(given)
