"""Captioned clips to matched and mismatched pairs: the pairs that the teacher will label.

A mismatched pair joins a clip with the caption of another sound of its split: at random; of the
same label; or hard, which is one whose text is similar to the clip's own caption. Texts still more
similar to one of the clip's own may be paraphrases and are never used. Captions of the same words
count as one text, clips of the same samples as one sound.

C captions, N pairs, K neighbors. A pair of clip and text has one code, see caption_index.py.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.pairs import neighbors
from soundjudge.labels.pairs.caption_index import CaptionIndex, allocate, sample_negatives
from soundjudge.labels.pairs.neighbors import Device, Integers
from soundjudge.ranges import LARGEST_BATCH, check_range

KINDS = ("hard", "same_label", "random")  # in the order of their selection
SPARE = 8  # further neighbors, since a clip's own texts may be among the nearest


@dataclass(frozen=True, kw_only=True)
class NegativeConfig:
    """Section `pseudolabel`: the mismatched pairs per matched pair.

    The numbers are means: of 1.9, a tenth of the captions get one and the others two.
    """

    num_random: float = 2.0  # random mismatched captions per matched pair
    num_hard: float = 1.0
    "hard ones per matched pair, at most: fewer where no text lies in the range"
    num_same_label: float = 0.0
    "those with the same label (VGGSound) per matched pair, at most: fewer where there are none"
    num_silent: float = 0.0
    "pairs of silence and a caption per matched pair, with the lowest score; see prepare.num_silent"
    hard_similarity_range: tuple[float, float] = (0.3, 0.9)
    "cosine of hard texts in the teacher's space; above it no text is used, it may be a paraphrase"
    pool: int | None = 1024
    "texts searched for a caption's hard ones, about; null = all, in quadratic time"
    exclude_rated: tuple[Literal["train", "validation", "test"], ...] = ()
    "rated splits whose texts, apart from case and punctuation, no caption may have"
    seed: int = 0  # of the random ones, of those with the same label, and of the search

    def __post_init__(self) -> None:
        check_range(self, *(f"num_{kind}" for kind in (*KINDS, "silent")), least=0, most=1_000)
        check_range(self, "pool", least=1, most=LARGEST_BATCH, or_null=True)
        low, high = self.hard_similarity_range
        if not -1 <= low < high <= 1:
            raise SoundjudgeError(
                f"hard_similarity_range is {low}, {high}: write two cosines, the lower first."
            )

    @property
    def cosine_range(self) -> tuple[float, float]:
        """The same, with 1 as infinity: rounding carries the cosine of equal texts above 1."""
        low, high = self.hard_similarity_range
        return low, high if high < 1 else math.inf


def build_pairs(
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    text_embeddings: ArrayStore,
    config: NegativeConfig,
    device: Device,
) -> pd.DataFrame:
    """All pairs: clip_id, caption_id, matched, kind (empty if matched); in the order of their ids.

    `captions` is a CAPTIONS table with the column words, `clips` a CLIPS table; `text_embeddings`
    has the unit embedding of each caption. No order of rows or embeddings matters.
    """
    table = number_captions(captions, clips)
    if config.num_same_label and len(table) and table["label"].isna().all():
        raise SoundjudgeError(
            "pseudolabel.num_same_label is above 0, and no caption has a label: only VGGSound has."
        )
    parts = [np.empty((0, 3), dtype=np.int64)]
    for split in sorted(table["split"].unique()):
        index = CaptionIndex(table[table["split"] == split], text_embeddings)
        parts.append(_pair_split(index, split, table, config, device))
    clip, caption, kind = np.concatenate(parts).T
    if config.num_hard and len(table) and not (kind == 0).any():
        raise SoundjudgeError(
            "pseudolabel.num_hard is above 0, and no text lies within "
            f"{config.hard_similarity_range} of another: widen pseudolabel.hard_similarity_range."
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
    columns = clips.set_index("clip_id")[["split", "sha256"]]
    table = captions.sort_values("caption_id", ignore_index=True).join(columns, on="clip_id")
    if table["split"].isna().any():
        unknown = table.loc[table["split"].isna(), "clip_id"].iloc[0]
        raise SoundjudgeError(
            f"captions.parquet names {unknown!r}, and clips.parquet has no such clip: run the "
            "stage prepare again."
        )
    clip = table["clip_id"].astype("category")
    return table.assign(clip_id=clip, clip=clip.cat.codes, caption=np.arange(len(table)))


def _pair_split(
    index: CaptionIndex, split: str, table: pd.DataFrame, config: NegativeConfig, device: Device
) -> Integers:
    """Numbers of clip and caption, and the kind, -1 for matched pairs: (pairs, 3)."""
    captions = len(index.clip)
    used = np.empty(0, dtype=np.int64)
    parts = [np.stack([index.clip, np.arange(captions), np.full(captions, -1)])]
    for code, kind in enumerate(KINDS):
        rng = np.random.default_rng([config.seed, *f"{split} {kind}".encode()])
        counts = allocate(captions, getattr(config, f"num_{kind}"), rng)
        if kind == "hard":
            pairs = hard_negatives(index, config, counts, device)
            clip, text = np.divmod(pairs, index.num_texts)
            caption = index.representative[text]
        else:
            group = np.zeros(captions, dtype=np.int64) if kind == "random" else index.label
            (clip, caption), lacking = sample_negatives(
                index, group, counts, used, config.cosine_range[1], rng
            )
            if kind == "random" and lacking.any():
                clip_id = table["clip_id"].iloc[index.caption_numbers[lacking.argmax()]]
                raise SoundjudgeError(
                    f"split {split}: {clip_id} gets too few random mismatched captions. Of "
                    f"{index.num_texts} distinct texts the others are its own, used as hard or "
                    f"same_label, or closer than {config.hard_similarity_range[1]} to its own: "
                    "lower pseudolabel.num_random or .num_hard, or raise "
                    "pseudolabel.hard_similarity_range."
                )
        used = np.union1d(used, clip * index.num_texts + index.text[caption])
        parts.append(np.stack([clip, caption, np.full(len(clip), code)]))
    clip, caption, kinds = np.concatenate(parts, axis=1)
    return np.stack([index.clip_numbers[clip], index.caption_numbers[caption], kinds], axis=1)


def hard_negatives(
    index: CaptionIndex, config: NegativeConfig, counts: Integers, device: Device
) -> Integers:
    """Each caption's nearest texts within the range that no caption of its sound excludes.

    `counts` (C,) are the largest numbers. Returns pair codes, sorted.
    """
    if not counts.any():
        return np.empty(0, dtype=np.int64)
    spare = min(SPARE, int(index.texts_per_sound.max()))
    search = neighbors.NeighborSearch(
        size=min(index.num_texts, int(counts.max()) + spare),
        cosine_range=config.cosine_range,
        pool=config.pool,
        seed=config.seed,
    )
    nearest = neighbors.nearest_neighbors(index.vectors, index.num_texts, search, device)
    nearest = nearest[index.text]  # (C, K)
    pairs = index.clip[:, None] * index.num_texts + nearest
    accepted = nearest >= 0
    accepted[accepted] = ~index.is_own_text(pairs[accepted])
    # The similarity to a sound's only text is that of the search.
    several = accepted & (index.texts_per_sound[index.sound[index.clip]] > 1)[:, None]
    accepted[several] = index.own_similarity(pairs[several]) <= config.cosine_range[1]
    return np.unique(pairs[accepted & (np.cumsum(accepted, axis=1) <= counts[:, None])])
