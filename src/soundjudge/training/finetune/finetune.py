"""Trains the language model to rank pairs as listeners do: a list loss on ratings, SpecAugment.

The third training of the TMU system, once per member of the ensemble. The items of the loop are
lists of rated pairs, sampled anew each epoch. The audio encoder is frozen: its stored features
serve, unless SpecAugment masks the spectrograms that it encodes. With a captioner its likelihood of
a pair is an input, too: a learned offset of the score.
Letters: P = pairs, B = sounds at once, T = samples of a window, N = frames, M = audio tokens,
D = encoder width.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.audio_encoder import AudioEncoder
from soundjudge.model.frontend.frontend import AudioFrontend, pad_or_cut, pool_frames
from soundjudge.model.joint.joint_lalm import JointLalm, Trainable
from soundjudge.model.joint.offset import LikelihoodOffset
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.runtime.devices import copy_to
from soundjudge.training.finetune.preparation import language_model, prepare, stored_inputs
from soundjudge.training.lalm.specaugment import SpecAugment, apply_specaugment
from soundjudge.training.lalm.training_pairs import (
    PairReader,
    TrainingPairs,
    gather_features,
    make_pairs,
    predict_scores,
)
from soundjudge.training.loop import loop
from soundjudge.training.loop.objective import Indices, Inputs, ListLoss
from soundjudge.training.ranking.lists import random_lists
from soundjudge.training.ranking.rank_correlation import rank_correlation
from soundjudge.training.ranking.ranking import RankingConfig, list_loss
from soundjudge.training.targets import choice
from soundjudge.training.targets.choice import Score, Target

SampleWeights = Literal["none", "precision"]


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(RankingConfig):
    """Section `finetune.training` of params.yaml: what all members share."""


@dataclass(frozen=True, kw_only=True)
class FinetuneMember:
    """Section `finetune.members.<name>` of params.yaml."""

    seed: int
    warm_start: str  # pretrain/<member>, caption or none, the folder below checkpoints
    target: Target  # mean or latent score on -1..1, mean standardized rating, or auto: the chosen
    sample_weights: SampleWeights = "none"  # precision: certain pairs count more
    selection_target: Score = "mean"  # whose SRCC on validation selects the epoch
    specaugment: SpecAugment | None = None
    """null = features are computed once; masks run the audio encoder on every sound in every epoch,
    ten times slower on a CPU. TMU: {freq_mask: 15, time_mask: 30, per: batch}."""
    captioner: Literal["none", "likelihood"] = "none"
    """likelihood = that checkpoint's likelihood of a pair joins the score by a learned offset"""
    trainable: Trainable = "all"
    """offset = that alone is trained, and the language model stays as its warm start"""

    def __post_init__(self) -> None:
        if self.trainable == "offset" and self.captioner == "none":
            raise SoundjudgeError(
                "trainable is offset, and captioner is none: choose captioner likelihood, or "
                "trainable all."
            )

    def with_choice(self, folder: Path) -> "FinetuneMember":
        """The same, with the target that `auto` stands for in a folder of targets."""
        return replace(self, target=choice.resolve_target(self.target, folder))

    def start(self, folder: Path) -> tuple[Path | None, Path | None]:
        """The checkpoints of warm start and captioner, which lie in a folder; None for none."""
        names = self.warm_start, self.captioner
        warm_start, captioner = (None if name == "none" else folder / name for name in names)
        return warm_start, captioner


def make_rated_pairs(
    targets: pd.DataFrame, target: Target, sample_weights: SampleWeights = "none"
) -> TrainingPairs:
    """The pairs of a TARGETS table: 0..10 as -1..1 (score / 5 - 1), spo_score as it is."""
    assert target != "auto", "with_choice comes first"
    scores = targets[f"{target}_score"]
    if target != "spo":
        scores = scores / 5 - 1
    clip_ids = targets["wav_file_name"].map(tables.rated_clip_id)
    weights = precision_weights(targets) if sample_weights == "precision" else None
    return make_pairs(clip_ids, targets["text"], scores, weights)


def precision_weights(targets: pd.DataFrame) -> NDArray[np.float64]:
    """How certain each pair's latent score is, (P,) of mean 1: 1 / (latent_se^2 + tau^2), scaled.

    The weights of a random-effects regression (DerSimonian and Laird 1986, "Meta-analysis in
    clinical trials"). tau^2 is the variance of latent_score, which an untrained model leaves
    unexplained: so weights are mild, and a pair known exactly does not outweigh all others.
    """
    tau_squared = float(targets["latent_score"].var(ddof=0))
    variances = targets["latent_se"].to_numpy(dtype=np.float64) ** 2 + tau_squared
    weights: NDArray[np.float64] = (1 / variances) / (1 / variances).mean()
    return weights


class TrainingSounds:
    """The features of training sounds: stored, or encoded anew with SpecAugment."""

    def __init__(
        self,
        features: ArrayStore,
        clips: ClipStore,
        encoder: AudioEncoder,
        specaugment: SpecAugment | None,
    ) -> None:
        self.features, self.clips = features, clips
        self.encoder, self.specaugment = encoder, specaugment

    def read(self, clip_ids: list[str], frontend: AudioFrontend) -> Tensor:
        """The stored features (B, M, D) of clips, or with SpecAugment their windows (B, T)."""
        if self.specaugment is None:
            return gather_features(self.features, clip_ids)
        return pad_or_cut([self.clips.wave(clip_id) for clip_id in clip_ids], frontend)

    def encode(self, sounds: Tensor, frontend: AudioFrontend, generator: torch.Generator) -> Tensor:
        """The features (B, M, D) of what `read` gave; `generator` is used with SpecAugment only.

        In a training in bf16 the encoder is in bf16, too, where the stored features are of float32.
        """
        if self.specaugment is None:
            return sounds
        augment = partial(apply_specaugment, config=self.specaugment, generator=generator)
        with torch.no_grad():
            frames = self.encoder.frames(sounds, augment)  # (B, N, D)
        features = pool_frames(frames, frontend.audio_tokens)
        # As precise as the stored ones, so that masks of no width change nothing.
        return features.half().float() if self.features.dtype == np.float16 else features


def train(
    model: Lalm | JointLalm,
    sounds: TrainingSounds,
    train_targets: pd.DataFrame,
    validation_targets: pd.DataFrame | None,
    config: FinetuneConfig,
    member: FinetuneMember,
    **options: Unpack[loop.RunOptions],
) -> loop.TrainingResult:
    """Trains `model` in place and keeps the epoch, 0 included, with the highest validation SRCC.

    Without validation, the last one is kept. `model` is a joint one if `member` has a captioner.
    """
    train_pairs = make_rated_pairs(train_targets, member.target, member.sample_weights)
    lalm, trainable = language_model(model), member.trainable
    precomputed = prepare(model, trainable, sounds.features, train_pairs, config, options["device"])
    compute_loss = list_loss(config, train_pairs.targets)

    reader = PairReader(lalm, sounds.features, train_pairs)

    def read(items: Indices) -> Inputs:
        inputs = tuple(tensor[items] for tensor in precomputed)
        if trainable == "offset":
            return inputs
        sequences = lalm.scoring_sequences(reader.tokens_of(items))
        return sequences, sounds.read(train_pairs.clip_ids_of(items), lalm.frontend), *inputs

    def scores(
        module: Lalm | JointLalm | LikelihoodOffset, inputs: Inputs, generator: torch.Generator
    ) -> Tensor:
        if isinstance(module, LikelihoodOffset):
            own, evidence = (copy_to(tensor, lalm.device) for tensor in inputs)
            return module.forward(own, evidence)
        sequences, windows, *inputs_of_offset = inputs
        features = sounds.encode(windows, lalm.frontend, generator)  # (P, M, D)
        return module.sequence_scores(sequences, features, *inputs_of_offset)

    def loss(scores: Tensor, items: Indices) -> Tensor:
        return compute_loss(scores, *train_pairs.targets_of(items, scores.device))

    def validate(pairs: TrainingPairs, precomputed: list[Tensor]) -> float:
        if trainable == "offset":
            scores, precomputed = precomputed[0].numpy(), precomputed[1:]
        else:
            scores = predict_scores(lalm, sounds.features, pairs, config.eval_batch_size)
        if isinstance(model, JointLalm):
            scores = model.join(torch.from_numpy(scores), *precomputed)
        return rank_correlation(scores, pairs.targets)

    validation = None
    if validation_targets is not None:
        pairs = make_rated_pairs(validation_targets, member.selection_target)
        inputs = stored_inputs(model, trainable, sounds.features, pairs, config)
        validation = partial(validate, pairs, inputs)

    trained: Lalm | JointLalm | LikelihoodOffset = model
    if trainable == "offset":
        assert isinstance(model, JointLalm), "a member without captioner has no offset"
        trained = model.offset
    result = loop.train_module(
        trained,
        random_lists(len(train_pairs), config.list_size),
        ListLoss(read=read, scores=scores, loss=loss, list_size=config.list_size),
        optimization=config.optimization,
        seed=member.seed,
        validate=validation,
        epoch_zero=validation is not None,
        **options,
    )
    if trainable == "all":
        lalm.merge_and_unload()
    return result
