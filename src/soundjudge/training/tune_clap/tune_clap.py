"""Fits a CLAP to listeners' ratings: the training story of SPO-CLAPScore.

Every list of pairs gives a squared error and a pairwise margin loss on the listeners' standardized
scale. What stays frozen runs once: log-mel spectrograms always, a frozen tower's outputs too, which
the stage clap_features has stored.

N pairs, B at once or lists of L pairs, F frames, M mel bands, H tower width, E embedding
dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.clap.clapscore.clapscore import ClapScore, Trainable
from soundjudge.clap.encoders.encoder import encode_batches, encode_distinct
from soundjudge.clap.features.stored_clap import StoredTowers
from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.data.tables.texts import clean_text
from soundjudge.ranges import LARGEST_BATCH, check_range
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.devices import copy_to
from soundjudge.training.loop import loop
from soundjudge.training.loop.objective import Indices, Inputs, ListLoss
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.ranking import lists, losses
from soundjudge.training.ranking.class_balance import class_weights
from soundjudge.training.ranking.rank_correlation import rank_correlation
from soundjudge.training.targets import choice
from soundjudge.training.targets.choice import Target

NO_FEATURES = Path("data/none")
MOST = 10.0  # of errors that cost nothing, in standard deviations, and of a weight


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Section `tune_clap` of params.yaml; epoch 0, the CLAP as downloaded, can be the best."""

    target: Target
    """latent = the rating model's score, closest to the truth in benchmarks/listener_recovery.md;
    spo = mean standardized rating (SPO-CLAPScore); mean = mean rating; all on one scale; auto = the
    one that standardize.target auto has chosen."""
    trainable: Trainable
    """audio = the audio tower, as published; text; both; projections = the two heads on frozen
    towers, which takes seconds and hardly overfits."""
    list_size: int  # pairs whose differences the margin loss compares
    mse_tau: float = 0.0  # an error on the standardized scale that costs nothing
    margin: float  # an error of a difference that costs nothing
    margin_weight: float
    class_balance: float | None = None  # beta of class weights on the squared error, or null
    encode_batch_size: int = 32  # sounds or texts that a frozen part, or a validation, reads
    seed: int
    optimization: Optimization  # its items are lists

    def __post_init__(self) -> None:
        unit = ", as a difference needs two pairs"
        check_range(self, "list_size", least=2, most=LARGEST_BATCH, unit=unit)
        check_range(self, "mse_tau", "margin", "margin_weight", least=0, most=MOST)
        check_range(self, "class_balance", least=0, below=1, or_null=True)
        check_range(self, "encode_batch_size", least=1, most=LARGEST_BATCH)

    def with_choice(self, folder: Path) -> "TuneConfig":
        """The same, with the target that `auto` stands for in a folder of targets."""
        return replace(self, target=choice.resolve_target(self.target, folder))


@dataclass(frozen=True, kw_only=True)
class RatedPairs:
    """Rated pairs with their targets."""

    clip_ids: list[str]
    texts: list[str]
    scores: NDArray[np.float32]  # (N,) on the standardized scale
    mean_scores: NDArray[np.float64]  # (N,) 0 to 10, by which pairs are classed


def rated_pairs(targets: pd.DataFrame, target: Target, mean: float, std: float) -> RatedPairs:
    """The pairs of a TARGETS table; mean and std are those of the training listeners."""
    assert target != "auto", "with_choice comes first"
    scores = targets[f"{target}_score"]
    if target != "spo":
        scores = (scores - mean) / std
    return RatedPairs(
        clip_ids=[tables.rated_clip_id(name) for name in targets["wav_file_name"]],
        texts=list(map(clean_text, targets["text"])),
        scores=scores.to_numpy(dtype=np.float32),
        mean_scores=targets["mean_score"].to_numpy(dtype=np.float64),
    )


def train(
    model: ClapScore,
    train: RatedPairs,
    validation: RatedPairs | None,
    clips: ClipStore,
    tuning: TuneConfig,
    *,
    features: Path = NO_FEATURES,
    **options: Unpack[loop.RunOptions],
) -> loop.TrainingResult:
    """Trains `model` in place; the best epoch by SRCC on `validation` counts, zero included.

    Without validation the last one does. `features`: what the stage clap_features stored.
    """
    state = devices.process_state(options["device"])
    model.to(state.device).eval()
    model.set_trainable(tuning.trainable)
    with state.main_process_first():
        pairs = [train] if validation is None else [train, validation]
        inputs = TuneInputs(model, pairs, clips, tuning, options["work"], features)

    beta = tuning.class_balance
    balance = None if beta is None else class_weights(train.mean_scores, beta)  # (N,)

    def read(items: Indices) -> Inputs:
        return inputs.read(train, items)

    def scores(model: ClapScore, read_inputs: Inputs, _: torch.Generator) -> Tensor:
        return inputs.scores(*read_inputs)

    def loss(prediction: Tensor, items: Indices) -> Tensor:
        device = prediction.device
        target = copy_to(torch.from_numpy(train.scores[items]), device)  # (B, L)
        margins = losses.pairwise_margin(prediction, target, tuning.margin)
        weights = None if balance is None else copy_to(torch.from_numpy(balance[items]), device)
        error = losses.clipped_mse(prediction, target, tuning.mse_tau, weights)
        return error + tuning.margin_weight * margins

    def validate(validation: RatedPairs) -> float:
        size, every = tuning.encode_batch_size, np.arange(len(validation.texts))
        blocks = [
            inputs.scores(*inputs.read(validation, rows))
            for rows in np.split(every, range(size, len(every), size))
        ]
        return rank_correlation(torch.cat(blocks).cpu().numpy(), validation.scores)

    return loop.train_module(
        model,
        lists.random_lists(len(train.texts), tuning.list_size),
        ListLoss(read=read, scores=scores, loss=loss, list_size=tuning.list_size),
        optimization=tuning.optimization,
        seed=tuning.seed,
        validate=None if validation is None else partial(validate, validation),
        epoch_zero=validation is not None,
        **options,
    )


class TuneInputs:
    """Inputs of trained parts: spectrograms (1, F, M) and texts, or frozen towers' outputs (H,)."""

    def __init__(
        self,
        model: ClapScore,
        pairs: Sequence[RatedPairs],
        clips: ClipStore,
        tuning: TuneConfig,
        work: Path,
        features: Path = NO_FEATURES,
    ) -> None:
        self.clap, self.model = model.clap, model
        self.trains_audio = tuning.trainable in ("audio", "both")
        self.trains_text = tuning.trainable in ("text", "both")
        self.batch_size = tuning.encode_batch_size
        self.towers = StoredTowers(self.clap, self.clap.device, clips, features)
        self.sounds = self._sounds(pairs, clips, work / "sounds")
        self.texts: dict[str, NDArray[np.float32]] = {}
        if not self.trains_text:
            texts = sorted({text for split in pairs for text in split.texts})
            pooled = encode_distinct(self.towers.pool_texts, texts, self.batch_size)
            self.texts = dict(zip(texts, pooled, strict=True))

    def _sounds(self, pairs: Sequence[RatedPairs], clips: ClipStore, folder: Path) -> ArrayStore:
        """On disk, because spectrograms of a whole challenge take gigabytes."""

        def encode(clip_ids: Sequence[str]) -> Tensor:
            waves = [clips.wave(clip_id) for clip_id in clip_ids]
            return self.clap.log_mel(waves) if self.trains_audio else self.towers.pool_sounds(waves)

        if not folder.exists():
            keys = sorted({clip_id for split in pairs for clip_id in split.clip_ids})
            with artifacts.atomic_folder(folder) as temporary:
                write_rows(temporary, keys, encode_batches(encode, keys, self.batch_size))
        return ArrayStore(folder)

    def read(self, pairs: RatedPairs, rows: Indices) -> tuple[Tensor, Tensor | list[str]]:
        """What `scores` needs of some of the pairs, on the CPU."""
        sounds = torch.from_numpy(self.sounds.gather([pairs.clip_ids[row] for row in rows]))
        texts = [pairs.texts[row] for row in rows]
        if self.trains_text:
            return sounds, texts
        return sounds, torch.from_numpy(np.stack([self.texts[text] for text in texts]))

    def scores(self, sounds: Tensor, texts: Tensor | list[str]) -> Tensor:
        """The model's scores of what `read` gave, on the standardized scale: (B,)."""
        device = self.clap.device
        stored = copy_to(sounds, device)  # (B, 1, F, M) or (B, H)
        pooled = self.clap.pool_mels(stored) if self.trains_audio else stored  # (B, H)
        if isinstance(texts, Tensor):
            pooled_texts = copy_to(texts, device)  # (B, H)
        else:
            pooled_texts = self.clap.pool_texts(texts)
        scores: Tensor = self.model(
            self.clap.project_sounds(pooled), self.clap.project_texts(pooled_texts)
        )
        return scores.float()
