"""Captioned clips to matched and mismatched pairs: the pairs that the teacher will label.

A mismatched pair joins a clip with the caption of another sound of its split: drawn at random; of
the same label; or hard, which is one whose text comes close to the clip's own caption. Texts closer
still to one of the clip's own may be paraphrases and are never taken. Captions of the same words
count as one text, clips of the same samples as one sound.

C captions, N couples, K neighbors. A couple is a clip and a text, see captions.py.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.pairs import neighbors
from soundjudge.labels.pairs.caption_index import CaptionIndex
from soundjudge.labels.pairs.negative_sampling import allocate, sample_negatives
from soundjudge.labels.pairs.neighbors import Integers

KINDS = ("hard", "same_label", "random")  # in the order in which they are found
SPARE = 8  # neighbors beyond those asked for, since a clip's own texts may be among the nearest


@dataclass(frozen=True, kw_only=True)
class NegativeConfig:
    """Section `pseudolabel` of params.yaml: how many mismatched pairs a matched one has, and which.

    The numbers are means: of 1.9, a tenth of the captions get one and the others two.
    """

    num_random: float  # a matched pair
    num_hard: float  # a matched pair, at most: fewer where no text lies in the band
    num_same_label: float  # a matched pair, at most: fewer where no other text has the label
    hard_similarity_range: tuple[
        float, float
    ]  # cosine of hard texts; above it, texts may mean the same
    pool: int | None  # texts looked through for a caption's hard ones, about; None: all
    exclude_rated: tuple[Literal["train", "validation", "test"], ...]  # whose texts are left out
    seed: int

    def __post_init__(self) -> None:
        """Refuses numbers that no draw can meet."""
        for name in (f"num_{kind}" for kind in KINDS):
            if getattr(self, name) < 0:
                raise SoundjudgeError(f"{name} is {getattr(self, name)}: it must not be negative.")
        low, high = self.hard_similarity_range
        if not -1 <= low < high <= 1:
            raise SoundjudgeError(
                f"hard_similarity_range is {low}, {high}: write two cosines, the lower first."
            )
        if self.pool is not None and self.pool < 1:
            raise SoundjudgeError(f"pool is {self.pool}: it must be at least 1, or null for all.")

    @property
    def band(self) -> tuple[float, float]:
        """The cosines that are taken; at 1 all, since rounding carries equal texts above it."""
        low, high = self.hard_similarity_range
        return low, high if high < 1 else math.inf


def build_pairs(
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    said: ArrayStore,
    negatives: NegativeConfig,
    device: str | torch.device,
) -> pd.DataFrame:
    """All pairs: clip_id, caption_id, matched, kind (empty if matched); in the order of their ids.

    `captions` is a CAPTIONS table with the column words, `clips` a CLIPS table, and `said` has the
    unit embedding of each caption. Neither the order of rows nor that of embeddings matters.
    """
    table = number_captions(captions, clips)
    if negatives.num_same_label and len(table) and table["label"].isna().all():
        raise SoundjudgeError(
            "pseudolabel.num_same_label is above 0, and no caption has a label: only VGGSound has."
        )
    empty = np.empty((0, 3), dtype=np.int64)
    made = [empty]
    for split in sorted(table["split"].unique()):
        known = CaptionIndex(table[table["split"] == split], said)
        made.append(_of_split(known, split, table, negatives, device))
    clip, caption, kind = np.concatenate(made).T
    if negatives.num_hard and len(table) and not (kind == 0).any():
        raise SoundjudgeError(
            f"pseudolabel.num_hard is above 0, and no text lies within {negatives.hard_similarity_range} of"
            " another: widen pseudolabel.hard_similarity_range."
        )
    order = np.lexsort((caption, clip))
    clip_ids, caption_ids = table["clip_id"].cat.categories, pd.Index(table["caption_id"])
    return pd.DataFrame(
        {
            "clip_id": pd.Categorical.from_codes(clip[order], clip_ids),
            "caption_id": pd.Categorical.from_codes(caption[order], caption_ids),
            "matched": kind[order] < 0,
            "kind": pd.Categorical.from_codes(kind[order], pd.Index(KINDS)),
        }
    )


def number_captions(captions: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """The captions in order of their ids, with split, sha256 and number of their clips."""
    known = clips.set_index("clip_id")[["split", "sha256"]]
    table = captions.sort_values("caption_id", ignore_index=True).join(known, on="clip_id")
    if table["split"].isna().any():
        stranger = table.loc[table["split"].isna(), "clip_id"].iloc[0]
        raise SoundjudgeError(
            f"captions.parquet names {stranger!r}, and clips.parquet has no such clip: run the "
            "stage prepare again."
        )
    clip = table["clip_id"].astype("category")
    return table.assign(clip_id=clip, clip=clip.cat.codes, caption=np.arange(len(table)))


def _of_split(
    known: CaptionIndex,
    split: str,
    table: pd.DataFrame,
    negatives: NegativeConfig,
    device: str | torch.device,
) -> Integers:
    """Numbers of clip and caption, and the kind, -1 for matched pairs: (pairs, 3)."""
    count = len(known.clip)
    taken = np.empty(0, dtype=np.int64)
    found = [np.stack([known.clip, np.arange(count), np.full(count, -1)])]
    for code, kind in enumerate(KINDS):
        rng = np.random.default_rng([negatives.seed, *f"{split} {kind}".encode()])
        wanted = allocate(count, getattr(negatives, f"num_{kind}"), rng)
        if kind == "hard":
            clip, text = np.divmod(hard_negatives(known, negatives, wanted, device), known.texts)
            caption = known.speaker[text]
        else:
            group = np.zeros(count, dtype=np.int64) if kind == "random" else known.label
            (clip, caption), lacks = sample_negatives(
                known, group, wanted, taken, negatives.band[1], rng
            )
            if kind == "random" and lacks.any():
                clip_id = table["clip_id"].iloc[known.numbers[lacks.argmax()]]
                raise SoundjudgeError(
                    f"split {split}: {clip_id} gets too few random mismatched captions. Of "
                    f"{known.texts} distinct texts the others are its own, taken as hard or "
                    f"same_label, or closer than {negatives.hard_similarity_range[1]} to its own: lower "
                    "pseudolabel.num_random or .num_hard, or raise pseudolabel.hard_similarity_range."
                )
        taken = np.union1d(taken, clip * known.texts + known.text[caption])
        found.append(np.stack([clip, caption, np.full(len(clip), code)]))
    clip, caption, kinds = np.concatenate(found, axis=1)
    return np.stack([known.clip_numbers[clip], known.numbers[caption], kinds], axis=1)


def hard_negatives(
    known: CaptionIndex, negatives: NegativeConfig, wanted: Integers, device: str | torch.device
) -> Integers:
    """Each caption's nearest texts within the band that suit its clip: couples, sorted."""
    if not wanted.any():
        return np.empty(0, dtype=np.int64)
    spare = min(SPARE, int(known.own_counts.max()))
    search = neighbors.NeighborSearch(
        size=min(known.texts, int(wanted.max()) + spare),
        band=negatives.band,
        pool=negatives.pool,
        seed=negatives.seed,
    )
    near = neighbors.nearest_neighbors(known.vectors, known.texts, search, device)[
        known.text
    ]  # (C, K)
    couples = known.clip[:, None] * known.texts + near
    suits = near >= 0
    suits[suits] = ~known.own(couples[suits])
    # A sound's only text is the one whose neighbors these are.
    several = suits & (known.own_counts[known.sound[known.clip]] > 1)[:, None]
    suits[several] = known.closest(couples[several]) <= negatives.band[1]
    return np.unique(couples[suits & (np.cumsum(suits, axis=1) <= wanted[:, None])])
