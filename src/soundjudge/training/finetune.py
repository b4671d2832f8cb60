"""Teaches the language model to rank pairs as listeners do: ListNet on ratings, SpecAugment.

The third training of the TMU system, once for every member of the ensemble. The items of the loop
are lists of rated pairs, drawn anew each epoch. The encoder is frozen: without SpecAugment its
stored features serve, with it the encoder hears every training sound again, each time with other
masks.
Letters: B = lists at once, S = pairs in a list, P = pairs, M = audio tokens, D = encoder width.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd
import torch
from torch import Tensor

from soundjudge import correlations
from soundjudge.data import xacle
from soundjudge.data.shards import Clips, Rows
from soundjudge.model.beats import Beats
from soundjudge.model.features import encode_waves
from soundjudge.model.lalm import Lalm, LlmTraining
from soundjudge.training import devices, loop
from soundjudge.training.listnet import listnet
from soundjudge.training.lists import random_lists
from soundjudge.training.pairs import Pairs, gathered, pairs, scores
from soundjudge.training.specaugment import SpecAugment, augment

Target = Literal["mean", "spo"]


@dataclass(frozen=True, kw_only=True)
class Finetuning:
    """Section `finetune.training` of params.yaml: what all members share."""

    llm: LlmTraining  # whether the language model learns along with projector and score head
    list_size: int
    temperature: float  # divides the targets
    eval_batch_size: int  # pairs at once in validation
    optimisation: loop.Optimisation  # its items are lists

    def __post_init__(self) -> None:
        if self.list_size < 2:
            raise ValueError(f"list_size is {self.list_size}; an order needs at least 2.")
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0.")


@dataclass(frozen=True, kw_only=True)
class Member:
    """Section `finetune.members.<name>` of params.yaml."""

    seed: int
    warm_start: Literal["align", "caption", "none"]
    target: Target  # learnt: the mean rating on the -1..1 scale, or the mean standardized rating
    select: Target  # the epoch with the highest SRCC to this on validation is kept
    specaugment: SpecAugment | None


def rated(targets: pd.DataFrame, target: Target) -> Pairs:
    """The pairs of a TARGETS table, with mean_score / 5 - 1 (-1 to 1) or spo_score as it is."""
    wanted = targets["mean_score"] / 5 - 1 if target == "mean" else targets["spo_score"]
    clip_ids = targets["wav_file_name"].map(xacle.clip_id)
    return pairs(clip_ids, targets["text"], wanted)


class Sounds:
    """The features of training sounds: stored ones, or with `masks` heard anew."""

    def __init__(
        self, features: Rows, clips: Clips, beats: Beats, masks: SpecAugment | None
    ) -> None:
        self.features, self.clips, self.beats, self.masks = features, clips, beats, masks

    def heard(self, lalm: Lalm, clip_ids: list[str], generator: torch.Generator) -> Tensor:
        """(B, M, D); only with masks is `generator` drawn from."""
        if self.masks is None:
            return gathered(self.features, clip_ids)
        masked = partial(augment, masks=self.masks, generator=generator)
        waves = [self.clips.wave(clip_id) for clip_id in clip_ids]
        return encode_waves(self.beats, waves, lalm.front, masked)


def train(
    lalm: Lalm,
    sounds: Sounds,
    targets: pd.DataFrame,
    held_out_targets: pd.DataFrame,
    finetuning: Finetuning,
    member: Member,
    *,
    work: Path,
    device: str,
    log: loop.Log,
) -> loop.Fit:
    """Trains `lalm` in place; the epoch that ranks held-out pairs best is kept, zero included."""
    learnt, held_out = rated(targets, member.target), rated(held_out_targets, member.select)
    lalm.freeze(finetuning.llm)
    sounds.beats.to(devices.process(device).device).requires_grad_(False).eval()

    def loss(lalm: Lalm, items: loop.Indices, generator: torch.Generator) -> Tensor:
        heard = sounds.heard(lalm, learnt.sounds_of(items.ravel()), generator)  # (B * S, M, D)
        predicted = lalm.scores(heard, learnt.texts_of(items.ravel())).view(items.shape)  # (B, S)
        wanted = torch.from_numpy(learnt.targets[items]).to(predicted.device)  # (B, S)
        return listnet(predicted, wanted, finetuning.temperature)

    def validate() -> float:
        said = scores(lalm, sounds.features, held_out, finetuning.eval_batch_size)
        return correlations.srcc(said, held_out.targets)

    return loop.fit(
        lalm,
        random_lists(len(learnt), finetuning.list_size),
        loss,
        optimisation=finetuning.optimisation,
        seed=member.seed,
        validate=validate,
        work=work,
        device=device,
        log=log,
        epoch_zero=True,
    )
