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

from soundjudge.data.shards import Rows
from soundjudge.model.lalm import Lalm, LalmConfig, LlmTraining
from soundjudge.training import loop
from soundjudge.training.captions_said import Generation
from soundjudge.training.pairs import Pairs, gathered, pairs


@dataclass(frozen=True, kw_only=True)
class Captioning:
    """Section `caption` of params.yaml."""

    model: LalmConfig
    llm: LlmTraining  # how the language model learns along with the projector
    train_splits: tuple[str, ...]  # of the caption corpora
    validation_splits: tuple[str, ...]
    eval_batch_size: int  # captions at once in validation
    seed: int
    optimisation: loop.Optimisation  # its items are captions
    generation: Generation


def captioned(
    captions: pd.DataFrame, clips: pd.DataFrame, splits: Sequence[str], where: str
) -> Pairs:
    """The captions whose clips are in `splits`; ValueError, naming `where`, if there are none."""
    split = captions["clip_id"].map(clips.set_index("clip_id")["split"])
    rows = captions[split.isin(splits)]
    if rows.empty:
        raise ValueError(
            f"{where} is {list(splits)}, and no captioned clip is in it: there are "
            f"{sorted(split.dropna().unique())}."
        )
    return pairs(rows["clip_id"], rows["text"], np.ones(len(rows)))


def train(
    lalm: Lalm,
    features: Rows,
    learnt: Pairs,
    held_out: Pairs,
    captioning: Captioning,
    *,
    work: Path,
    device: str,
    log: loop.Log,
) -> loop.Fit:
    """Trains `lalm` in place; the epoch with the lowest loss on held-out captions is kept."""
    lalm.adapt(captioning.llm)

    def loss(lalm: Lalm, items: loop.Indices, _: torch.Generator) -> Tensor:
        return caption_loss(lalm, features, learnt, items)

    def validate() -> float:
        return -held_out_loss(lalm, features, held_out, captioning.eval_batch_size)

    fit = loop.fit(
        lalm,
        len(learnt),
        loss,
        optimisation=captioning.optimisation,
        seed=captioning.seed,
        validate=validate,
        work=work,
        device=device,
        log=log,
        epoch_zero=False,
    )
    lalm.settle()
    return fit


def summary(fit: loop.Fit) -> dict[str, float]:
    """The epoch that is kept, and its loss on held-out captions."""
    assert fit.best_value is not None, "captioning always validates"
    return {"best_epoch": fit.best_epoch, "validation_loss": -fit.best_value}


def caption_loss(lalm: Lalm, features: Rows, given: Pairs, items: loop.Indices) -> Tensor:
    """Next-token cross-entropy, mean over the captions `items` (B,)."""
    sounds = gathered(features, given.sounds_of(items))  # (B, M, D)
    return lalm.caption_loss(sounds, given.texts_of(items))


def held_out_loss(lalm: Lalm, features: Rows, given: Pairs, batch_size: int) -> float:
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
