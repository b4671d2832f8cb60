"""Teaches the language model to rank pairs as the teacher does: ListNet on pseudo-labels.

The second training of the TMU system, and by its authors' ablation the one that carries it. The
items of the loop are lists of pairs.
Letters: B = lists at once, S = pairs in a list, M = audio tokens, D = encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import torch
from torch import Tensor

from soundjudge import correlations
from soundjudge.data.shards import Rows
from soundjudge.model.lalm import Lalm, LlmTraining
from soundjudge.training import loop
from soundjudge.training.listnet import listnet
from soundjudge.training.lists import clip_lists, random_lists
from soundjudge.training.pairs import Pairs, gathered, pairs, scores


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Section `align` of params.yaml."""

    warm_start: Literal["caption", "none"]
    llm: LlmTraining  # whether the language model learns along with projector and score head
    list_size: int
    captions_per_clip: int | None  # pairs of one clip in a list; null: any pairs in a list
    temperature: float  # divides the teacher's scores, raw cosines
    train_splits: tuple[str, ...]  # of the caption corpora
    validation_splits: tuple[str, ...]
    eval_batch_size: int  # pairs at once in validation
    seed: int
    optimisation: loop.Optimisation  # its items are lists

    def __post_init__(self) -> None:
        if self.list_size < 2:
            raise ValueError(f"list_size is {self.list_size}; an order needs at least 2.")
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0.")
        together = self.captions_per_clip
        if together is not None and (together < 1 or self.list_size % together):
            raise ValueError(
                f"captions_per_clip is {together}; it must divide list_size {self.list_size}."
            )


def labelled(
    labels: pd.DataFrame,
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    splits: Sequence[str],
    where: str,
) -> Pairs:
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
    return pairs(labels["clip_id"][rows], text[rows], labels["clap_score"][rows])


def train(
    lalm: Lalm,
    features: Rows,
    learnt: Pairs,
    held_out: Pairs,
    alignment: Alignment,
    *,
    work: Path,
    device: str,
    log: loop.Log,
) -> loop.Fit:
    """Trains `lalm` in place; the epoch that ranks held-out pairs most like the teacher is kept."""
    lalm.freeze(alignment.llm)
    size, together = alignment.list_size, alignment.captions_per_clip
    draw = clip_lists(learnt.clip, size, together) if together else random_lists(len(learnt), size)

    def loss(lalm: Lalm, items: loop.Indices, _: torch.Generator) -> Tensor:
        sounds = gathered(features, learnt.sounds_of(items.ravel()))  # (B * S, M, D)
        predicted = lalm.scores(sounds, learnt.texts_of(items.ravel())).view(items.shape)  # (B, S)
        wanted = torch.from_numpy(learnt.targets[items]).to(predicted.device)  # (B, S)
        return listnet(predicted, wanted, alignment.temperature)

    def validate() -> float:
        said = scores(lalm, features, held_out, alignment.eval_batch_size)
        return correlations.srcc(said, held_out.targets)

    return loop.fit(
        lalm,
        draw,
        loss,
        optimisation=alignment.optimisation,
        seed=alignment.seed,
        validate=validate,
        work=work,
        device=device,
        log=log,
        epoch_zero=False,
    )
