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

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.model.audio.audio_encoder import AudioEncoder, encode_waves
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.training.lalm.specaugment import SpecAugment, apply_specaugment
from soundjudge.training.lalm.training_pairs import (
    TrainingPairs,
    gather_features,
    make_pairs,
    predict_scores,
)
from soundjudge.training.loop import loop
from soundjudge.training.loop.updates import Indices
from soundjudge.training.ranking.lists import random_lists
from soundjudge.training.ranking.rank_correlation import rank_correlation
from soundjudge.training.ranking.ranking import RankingConfig, list_loss

Target = Literal["mean", "spo", "latent"]
SampleWeights = Literal["none", "precision"]


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(RankingConfig):
    """Section `finetune.training` of params.yaml: what all members share."""


@dataclass(frozen=True, kw_only=True)
class FinetuneMember:
    """Section `finetune.members.<name>` of params.yaml."""

    seed: int
    warm_start: Literal["pretrain", "caption", "none"]
    target: Target  # learned: mean or latent score on the -1..1 scale, or mean standardized rating
    sample_weights: SampleWeights  # whether pairs that listeners are sure of count more
    selection_target: Target  # the epoch with the highest SRCC to this on validation is kept
    specaugment: SpecAugment | None


def rated_pairs(
    targets: pd.DataFrame, target: Target, weights: SampleWeights = "none"
) -> TrainingPairs:
    """The pairs of a TARGETS table: 0..10 as -1..1 (score / 5 - 1), spo_score as it is."""
    wanted = targets[f"{target}_score"]
    if target != "spo":
        wanted = wanted / 5 - 1
    clip_ids = targets["wav_file_name"].map(tables.rated_clip_id)
    given = precision_weights(targets) if weights == "precision" else None
    return make_pairs(clip_ids, targets["text"], wanted, given)


def precision_weights(targets: pd.DataFrame) -> NDArray[np.float64]:
    """How sure listeners are of each pair, (P,) of mean 1: 1 / (latent_se^2 + tau^2), scaled.

    The weights of a random-effects regression (DerSimonian and Laird 1986, "Meta-analysis in
    clinical trials"); tau^2 is the variance of latent_score, all that a model leaves unexplained
    before it has learned. So weights are mild: a pair known exactly does not outweigh all others.
    """
    spread = float(targets["latent_score"].var(ddof=0))
    variances = targets["latent_se"].to_numpy(dtype=np.float64) ** 2 + spread
    weights: NDArray[np.float64] = (1 / variances) / (1 / variances).mean()
    return weights


class TrainingSounds:
    """The features of training sounds: stored ones, or with `masks` heard anew."""

    def __init__(
        self,
        features: ArrayStore,
        clips: ClipStore,
        encoder: AudioEncoder,
        masks: SpecAugment | None,
    ) -> None:
        self.features, self.clips, self.encoder, self.masks = features, clips, encoder, masks

    def gather(self, lalm: Lalm, clip_ids: list[str], generator: torch.Generator) -> Tensor:
        """(B, M, D); only with masks is `generator` drawn from."""
        if self.masks is None:
            return gather_features(self.features, clip_ids)
        masked = partial(apply_specaugment, masks=self.masks, generator=generator)
        waves = [self.clips.wave(clip_id) for clip_id in clip_ids]
        features = encode_waves(self.encoder, waves, lalm.frontend, masked)
        # As precise as the stored ones, so that masks of no width change nothing.
        return features.half().float() if self.features.dtype == np.float16 else features


def train(
    lalm: Lalm,
    sounds: TrainingSounds,
    targets: pd.DataFrame,
    held_out_targets: pd.DataFrame,
    finetuning: FinetuneConfig,
    member: FinetuneMember,
    *,
    work: Path,
    device: str,
    log: loop.Log,
) -> loop.TrainingResult:
    """Trains `lalm` in place; the epoch that ranks held-out pairs best is kept, zero included."""
    train_pairs = rated_pairs(targets, member.target, member.sample_weights)
    validation_pairs = rated_pairs(held_out_targets, member.selection_target)
    lalm.prepare_for_training(finetuning.llm)
    of_lists = list_loss(finetuning, train_pairs.targets)

    def loss(lalm: Lalm, items: Indices, generator: torch.Generator) -> Tensor:
        features = sounds.gather(
            lalm, train_pairs.sounds_of(items.ravel()), generator
        )  # (B * S, M, D)
        predicted = lalm.scores(features, train_pairs.texts_of(items.ravel())).view(
            items.shape
        )  # (B, S)
        return of_lists(predicted, *train_pairs.wanted(items, predicted.device))

    def validate() -> float:
        said = predict_scores(lalm, sounds.features, validation_pairs, finetuning.eval_batch_size)
        return rank_correlation(said, validation_pairs.targets)

    fit = loop.train_module(
        lalm,
        random_lists(len(train_pairs), finetuning.list_size),
        loss,
        optimization=finetuning.optimization,
        seed=member.seed,
        validate=validate,
        work=work,
        device=device,
        log=log,
        epoch_zero=True,
    )
    lalm.merge_and_unload()
    return fit
