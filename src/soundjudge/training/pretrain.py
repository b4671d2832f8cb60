"""Teaches the language model to rank pairs as the teacher does: a list loss on pseudo-labels.

The second training of the TMU system, and by its authors' ablation the one that carries it. The
items of the loop are lists of pairs.
Letters: B = lists at once, S = pairs in a list, C = captions of one clip in a list, M = audio
tokens, D = encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import torch
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.training.lalm.training_pairs import (
    TrainingPairs,
    gather_features,
    make_pairs,
    predict_scores,
)
from soundjudge.training.loop import loop
from soundjudge.training.loop.updates import Indices
from soundjudge.training.ranking.lists import clip_lists, random_lists
from soundjudge.training.ranking.rank_correlation import rank_correlation
from soundjudge.training.ranking.ranking import RankingConfig, list_loss


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(RankingConfig):
    """Section `pretrain` of params.yaml."""

    warm_start: Literal["caption", "none"]
    captions_per_clip: int | None  # pairs of one clip in a list; null: any pairs in a list
    train_splits: tuple[str, ...]  # of the caption corpora
    validation_splits: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        """Refuses lists that clips cannot fill."""
        super().__post_init__()
        together = self.captions_per_clip
        if together is not None and (together < 1 or self.list_size % together):
            raise ValueError(
                f"captions_per_clip is {together}; it must divide list_size {self.list_size}."
            )


def select_pseudolabeled(
    labels: pd.DataFrame,
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    splits: Sequence[str],
    where: str,
) -> TrainingPairs:
    """The pseudo-labelled pairs whose clips are in `splits`; ValueError if there are none."""
    split = labels["clip_id"].map(clips.set_index("clip_id")["split"])
    text = labels["caption_id"].map(captions.set_index("caption_id")["text"])
    if split.isna().any() or text.isna().any():
        row = labels[split.isna() | text.isna()].iloc[0]
        raise ValueError(
            f"the pair {row['clip_id']}, {row['caption_id']} is of an older preparation: run the "
            "stage pseudolabel again."
        )
    rows = split.isin(splits)
    if not rows.any():
        raise ValueError(
            f"{where} is {list(splits)}, and no pair is in it: there are {sorted(split.unique())}."
        )
    return make_pairs(labels["clip_id"][rows], text[rows], labels["clap_score"][rows])


def train(
    lalm: Lalm,
    features: ArrayStore,
    train_pairs: TrainingPairs,
    validation_pairs: TrainingPairs,
    alignment: PretrainConfig,
    *,
    work: Path,
    device: str,
    log: loop.Log,
) -> loop.TrainingResult:
    """Trains `lalm` in place; the epoch that ranks held-out pairs most like the teacher is kept."""
    lalm.prepare_for_training(alignment.llm)
    size, together = alignment.list_size, alignment.captions_per_clip
    draw = (
        clip_lists(train_pairs.clip, size, together)
        if together
        else random_lists(len(train_pairs), size)
    )
    of_lists = list_loss(alignment, train_pairs.targets)

    def loss(lalm: Lalm, items: Indices, _: torch.Generator) -> Tensor:
        predicted = score_lists(lalm, features, train_pairs, items, together or 1)  # (B, S)
        return of_lists(predicted, *train_pairs.wanted(items, predicted.device))

    def validate() -> float:
        said = predict_scores(lalm, features, validation_pairs, alignment.eval_batch_size)
        return rank_correlation(said, validation_pairs.targets)

    fit = loop.train_module(
        lalm,
        draw,
        loss,
        optimization=alignment.optimization,
        seed=alignment.seed,
        validate=validate,
        work=work,
        device=device,
        log=log,
        epoch_zero=False,
    )
    lalm.merge_and_unload()
    return fit


def score_lists(
    lalm: Lalm, features: ArrayStore, given: TrainingPairs, items: Indices, together: int
) -> Tensor:
    """Scores of lists `items` (B, S), in which C = `together` pairs in a row have one clip: (B, S).

    Where sounds come first, the captions of a clip share its audio tokens.
    """
    flat = items.ravel()
    texts = given.texts_of(flat)
    if together > 1 and lalm.config.order == "audio_first":
        sounds = gather_features(features, given.sounds_of(flat[::together]))  # (B * S / C, M, D)
        return lalm.shared_scores(sounds, texts).view(items.shape)
    sounds = gather_features(features, given.sounds_of(flat))  # (B * S, M, D)
    return lalm.scores(sounds, texts).view(items.shape)
