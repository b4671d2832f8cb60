"""Teaches the language model to rank pairs as listeners do: a list loss on ratings, SpecAugment.

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

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge import correlations
from soundjudge.data import xacle
from soundjudge.data.rows import Rows
from soundjudge.data.shards import Clips
from soundjudge.model.beats import Beats
from soundjudge.model.features import encode_waves
from soundjudge.model.lalm import Lalm
from soundjudge.training import devices, loop
from soundjudge.training.lists import random_lists
from soundjudge.training.pairs import Pairs, gathered, pairs, scores
from soundjudge.training.ranking import Ranking, list_loss
from soundjudge.training.specaugment import SpecAugment, augment

Target = Literal["mean", "spo", "latent"]
Weights = Literal["none", "precision"]


@dataclass(frozen=True, kw_only=True)
class Finetuning(Ranking):
    """Section `finetune.training` of params.yaml: what all members share."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """Section `finetune.members.<name>` of params.yaml."""

    seed: int
    warm_start: Literal["align", "caption", "none"]
    target: Target  # learnt: mean or latent score on the -1..1 scale, or mean standardized rating
    weights: Weights  # whether pairs that listeners are sure of count more
    select: Target  # the epoch with the highest SRCC to this on validation is kept
    specaugment: SpecAugment | None


def rated(targets: pd.DataFrame, target: Target, weights: Weights = "none") -> Pairs:
    """The pairs of a TARGETS table: 0..10 as -1..1 (score / 5 - 1), spo_score as it is."""
    wanted = targets[f"{target}_score"]
    if target != "spo":
        wanted = wanted / 5 - 1
    clip_ids = targets["wav_file_name"].map(xacle.clip_id)
    given = precision(targets) if weights == "precision" else None
    return pairs(clip_ids, targets["text"], wanted, given)


def precision(targets: pd.DataFrame) -> NDArray[np.float64]:
    """How sure listeners are of each pair, (P,) of mean 1: 1 / (latent_se^2 + tau^2), scaled.

    The weights of a random-effects regression (DerSimonian and Laird 1986, "Meta-analysis in
    clinical trials"); tau^2 is the variance of latent_score, all that a model leaves unexplained
    before it has learnt. So weights are mild: a pair known exactly does not outweigh all others.
    """
    spread = float(targets["latent_score"].var(ddof=0))
    variances = targets["latent_se"].to_numpy(dtype=np.float64) ** 2 + spread
    weights: NDArray[np.float64] = (1 / variances) / (1 / variances).mean()
    return weights


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
        heard = encode_waves(self.beats, waves, lalm.front, masked)
        # As precise as the stored ones, so that masks of no width change nothing.
        return heard.half().float() if self.features.dtype == np.float16 else heard


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
    learnt = rated(targets, member.target, member.weights)
    held_out = rated(held_out_targets, member.select)
    lalm.adapt(finetuning.llm)
    sounds.beats.to(devices.process(device).device).requires_grad_(False).eval()
    of_lists = list_loss(finetuning, learnt.targets)

    def loss(lalm: Lalm, items: loop.Indices, generator: torch.Generator) -> Tensor:
        heard = sounds.heard(lalm, learnt.sounds_of(items.ravel()), generator)  # (B * S, M, D)
        predicted = lalm.scores(heard, learnt.texts_of(items.ravel())).view(items.shape)  # (B, S)
        return of_lists(predicted, *learnt.wanted(items, predicted.device))

    def validate() -> float:
        said = scores(lalm, sounds.features, held_out, finetuning.eval_batch_size)
        return correlations.srcc(said, held_out.targets)

    fit = loop.fit(
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
    lalm.settle()
    return fit
