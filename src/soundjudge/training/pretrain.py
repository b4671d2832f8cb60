"""Trains the language model to rank pairs as the teacher does: a list loss on pseudo-labels.

The second training of the TMU system, by its authors' ablation the one that matters most. The
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
from soundjudge.errors import SoundjudgeError
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
    captions_per_clip: int | None  # pairs of one clip in a list; null = any pairs
    train_splits: tuple[str, ...]  # of the captioned corpora
    validation_splits: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        count = self.captions_per_clip
        if count is not None and (count < 1 or self.list_size % count):
            raise SoundjudgeError(
                f"captions_per_clip is {count}; it must divide list_size {self.list_size}."
            )


def select_pseudolabeled(
    labels: pd.DataFrame,
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    splits: Sequence[str],
    key: str,
) -> TrainingPairs:
    """The pseudo-labeled pairs whose clips are in `splits`, the value of `pretrain.<key>`.

    Raises SoundjudgeError if there are none.
    """
    split = labels["clip_id"].map(clips.set_index("clip_id")["split"])
    text = labels["caption_id"].map(captions.set_index("caption_id")["text"])
    if split.isna().any() or text.isna().any():
        row = labels[split.isna() | text.isna()].iloc[0]
        raise SoundjudgeError(
            f"the pair {row['clip_id']}, {row['caption_id']} is of an older preparation: run the "
            "stage pseudolabel again."
        )
    rows = split.isin(splits)
    if not rows.any():
        raise SoundjudgeError(
            f"pretrain.{key} is {list(splits)}, and no pair is in it: choose among "
            f"{sorted(split.unique())}."
        )
    return make_pairs(labels["clip_id"][rows], text[rows], labels["clap_score"][rows])


def train(
    lalm: Lalm,
    features: ArrayStore,
    train_pairs: TrainingPairs,
    validation_pairs: TrainingPairs,
    config: PretrainConfig,
    *,
    work: Path,
    device: str,
    log: loop.Log = loop.log_line,
    history: Path | None = None,
) -> loop.TrainingResult:
    """Trains `lalm` in place and keeps the epoch with the highest SRCC to the teacher."""
    lalm.prepare_for_training(config.llm)
    size, count = config.list_size, config.captions_per_clip
    clips, pairs = train_pairs.clip, len(train_pairs)
    lists = clip_lists(clips, size, count) if count else random_lists(pairs, size)
    compute_loss = list_loss(config, train_pairs.targets)

    def loss(lalm: Lalm, items: Indices, _: torch.Generator) -> Tensor:
        scores = score_lists(lalm, features, train_pairs, items, count or 1)  # (B, S)
        return compute_loss(scores, *train_pairs.targets_of(items, scores.device))

    def validate() -> float:
        scores = predict_scores(lalm, features, validation_pairs, config.eval_batch_size)
        return rank_correlation(scores, validation_pairs.targets)

    result = loop.train_module(
        lalm,
        lists,
        loss,
        optimization=config.optimization,
        seed=config.seed,
        validate=validate,
        work=work,
        device=device,
        log=log,
        history=history,
        epoch_zero=False,
    )
    lalm.merge_and_unload()
    return result


def score_lists(
    lalm: Lalm,
    features: ArrayStore,
    pairs: TrainingPairs,
    items: Indices,
    captions_per_clip: int,
) -> Tensor:
    """Scores (B, S) of lists `items` (B, S) in which C consecutive pairs have one clip.

    In the order audio_first, the captions of a clip share its audio tokens.
    """
    flat = items.ravel()
    texts = pairs.texts_of(flat)
    if captions_per_clip > 1 and lalm.config.order == "audio_first":
        clip_ids = pairs.clip_ids_of(flat[::captions_per_clip])
        sounds = gather_features(features, clip_ids)  # (B * S / C, M, D)
        return lalm.shared_scores(sounds, texts).view(items.shape)
    sounds = gather_features(features, pairs.clip_ids_of(flat))  # (B * S, M, D)
    return lalm.scores(sounds, texts).view(items.shape)
