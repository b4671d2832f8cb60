"""Trains the language model to rank pairs as the teacher does: a list loss on pseudo-labels.

The second training of the TMU system, by its authors' ablation the one that matters most, once
per member: TMU has some that can caption sounds and some that never learned it. The items of the
loop are lists of pairs. In the order audio_first, the captions of a clip in a list share its audio
tokens.
Letters: P = pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Unpack

import pandas as pd
import torch
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.prompt import Sequences
from soundjudge.training.lalm.training_pairs import (
    PairReader,
    TrainingPairs,
    check_splits,
    make_pairs,
    predict_scores,
)
from soundjudge.training.loop import loop
from soundjudge.training.loop.objective import Indices, Inputs, ListLoss
from soundjudge.training.pretrain.teacher import LikelihoodTeacher, splits_and_texts
from soundjudge.training.ranking.lists import clip_lists, random_lists
from soundjudge.training.ranking.rank_correlation import rank_correlation
from soundjudge.training.ranking.ranking import RankingConfig, list_loss


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(RankingConfig):
    """Section `pretrain.training` of params.yaml: what all members share."""

    captions_per_clip: int | None  # pairs of one clip in a list; null = any pairs
    train_splits: tuple[str, ...]  # of the captioned corpora
    validation_splits: tuple[str, ...]
    likelihood: LikelihoodTeacher | None = None
    """null = CLAP alone teaches, as TMU's; {weight: 0.5} = the captioner's likelihood of a pair
    does, too, which costs each member two or three passes over all pairs"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_splits(self.train_splits, self.validation_splits)
        count = self.captions_per_clip
        if count is not None and (count < 1 or self.list_size % count):
            raise SoundjudgeError(
                f"captions_per_clip is {count}; it must divide list_size {self.list_size}."
            )


@dataclass(frozen=True, kw_only=True)
class PretrainMember:
    """Section `pretrain.members.<name>` of params.yaml."""

    seed: int
    warm_start: Literal["caption", "none"]


def select_pseudolabeled(
    labels: pd.DataFrame,
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    splits: Sequence[str],
    key: str,
) -> TrainingPairs:
    """The pseudo-labeled pairs whose clips are in `splits`, the value of `pretrain.training.<key>`.

    Raises SoundjudgeError if there are none.
    """
    split, text = splits_and_texts(labels, captions, clips)
    rows = split.isin(splits)
    if not rows.any():
        raise SoundjudgeError(
            f"pretrain.training.{key} is {list(splits)}, and no pair is in it: choose among "
            f"{sorted(split.unique())}."
        )
    return make_pairs(labels["clip_id"][rows], text[rows], labels["clap_score"][rows])


def train(
    lalm: Lalm,
    features: ArrayStore,
    train_pairs: TrainingPairs,
    validation_pairs: TrainingPairs,
    config: PretrainConfig,
    member: PretrainMember,
    **options: Unpack[loop.RunOptions],
) -> loop.TrainingResult:
    """Trains `lalm` in place and keeps the epoch with the highest SRCC to the teacher."""
    lalm.prepare_for_training(config.llm)
    size, count = config.list_size, config.captions_per_clip
    clips, pairs = train_pairs.clip, len(train_pairs)
    lists = clip_lists(clips, size, count) if count else random_lists(pairs, size)
    compute_loss = list_loss(config, train_pairs.targets)

    reader = PairReader(lalm, features, train_pairs)
    # Behind a sound, all its captions are in one sequence.
    group = (count or 1) if lalm.config.order == "audio_first" else 1

    def read(items: Indices) -> Inputs:
        return read_pairs(reader, items, group)

    def scores(lalm: Lalm, inputs: Inputs, _: torch.Generator) -> Tensor:
        return lalm.sequence_scores(*inputs)

    def loss(scores: Tensor, items: Indices) -> Tensor:
        return compute_loss(scores, *train_pairs.targets_of(items, scores.device))

    def validate() -> float:
        scores = predict_scores(lalm, features, validation_pairs, config.eval_batch_size)
        return rank_correlation(scores, validation_pairs.targets)

    result = loop.train_module(
        lalm,
        lists,
        ListLoss(read=read, scores=scores, loss=loss, list_size=size, group=group),
        optimization=config.optimization,
        seed=member.seed,
        validate=validate,
        epoch_zero=False,
        **options,
    )
    lalm.merge_and_unload()
    return result


def read_pairs(reader: PairReader, items: Indices, group: int) -> tuple[Sequences, Tensor]:
    """What `Lalm.sequence_scores` needs of pairs (P,), of which `group` consecutive share a sound.

    In one sequence, where they are more than one.
    """
    texts = reader.tokens_of(items)
    if group > 1:
        sounds = items[::group]
        return reader.lalm.shared_sequences(texts, len(sounds)), reader.features_of(sounds)
    return reader.lalm.scoring_sequences(texts), reader.features_of(items)
