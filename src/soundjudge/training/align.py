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

from soundjudge import correlations
from soundjudge.data.rows import Rows
from soundjudge.model.lalm import Lalm
from soundjudge.training import loop
from soundjudge.training.lists import clip_lists, random_lists
from soundjudge.training.pairs import Pairs, gathered, pairs, scores
from soundjudge.training.ranking import Ranking, list_loss


@dataclass(frozen=True, kw_only=True)
class Alignment(Ranking):
    """Section `align` of params.yaml."""

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
    lalm.adapt(alignment.llm)
    size, together = alignment.list_size, alignment.captions_per_clip
    draw = clip_lists(learnt.clip, size, together) if together else random_lists(len(learnt), size)
    of_lists = list_loss(alignment, learnt.targets)

    def loss(lalm: Lalm, items: loop.Indices, _: torch.Generator) -> Tensor:
        predicted = listed_scores(lalm, features, learnt, items, together or 1)  # (B, S)
        return of_lists(predicted, *learnt.wanted(items, predicted.device))

    def validate() -> float:
        said = scores(lalm, features, held_out, alignment.eval_batch_size)
        return correlations.srcc(said, held_out.targets)

    fit = loop.fit(
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
    lalm.settle()
    return fit


def listed_scores(
    lalm: Lalm, features: Rows, given: Pairs, items: loop.Indices, together: int
) -> Tensor:
    """Scores of lists `items` (B, S), in which C = `together` pairs in a row have one clip: (B, S).

    Where sounds come first, the captions of a clip share its audio tokens.
    """
    flat = items.ravel()
    texts = given.texts_of(flat)
    if together > 1 and lalm.config.order == "audio_first":
        sounds = gathered(features, given.sounds_of(flat[::together]))  # (B * S / C, M, D)
        return lalm.shared_scores(sounds, texts).view(items.shape)
    sounds = gathered(features, given.sounds_of(flat))  # (B * S, M, D)
    return lalm.scores(sounds, texts).view(items.shape)
