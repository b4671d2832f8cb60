"""The captions of one split as codes: the texts of each clip, similarities to them, other texts.

C captions, U distinct texts, N pairs, E embedding dimensions, B texts requested.
A pair of clip and text has one code: clip * U + text.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.labels.pairs.neighbors import Integers, iter_blocks
from soundjudge.labels.pairs.unit_vectors import take_float32

PAIRS_PER_BLOCK = 16_384  # pairs whose similarities are computed at once
MAX_TRIES = 1000  # texts that are tried for a caption


class CaptionIndex:
    """The captions of a split; the order of the rows of `table` does not matter.

    `table` has the columns caption and clip, numbers that follow the order of the ids; caption_id,
    words, label, sha256. `embeddings` holds the unit embedding of each caption.
    """

    def __init__(self, table: pd.DataFrame, embeddings: ArrayStore) -> None:
        table = table.sort_values("caption")
        self.caption_numbers = table["caption"].to_numpy(dtype=np.int64)  # (C,)
        self.clip_numbers, first, self.clip = np.unique(
            table["clip"].to_numpy(dtype=np.int64), return_index=True, return_inverse=True
        )  # clip: (C,)
        self.text = pd.factorize(table["words"])[0].astype(np.int64)  # (C,)
        self.label = pd.factorize(table["label"])[0].astype(np.int64)  # (C,), -1 for none
        self.num_texts = int(self.text.max(initial=-1)) + 1  # U
        self.sound = pd.factorize(table["sha256"])[0].astype(np.int64)[first]  # of each clip
        # One caption of each text: (U,)
        self.representative = np.unique(self.text, return_index=True)[1]
        ids = table["caption_id"].iloc[self.representative].to_numpy()
        self._embeddings, self._rows = embeddings, embeddings.row_indices(ids)
        # Sorted codes sound * U + text, sound by sound.
        self._sound_texts = np.unique(self.sound[self.clip] * self.num_texts + self.text)
        self.texts_per_sound = np.bincount(self._sound_texts // max(1, self.num_texts))
        self._ends = self.texts_per_sound.cumsum()

    def vectors(self, texts: Integers) -> NDArray[np.float32]:
        """Unit embeddings of texts: (B, E)."""
        return take_float32(self._embeddings, self._rows[texts])

    def is_own_text(self, pairs: Integers) -> NDArray[np.bool_]:
        """Whether a caption of the clip's sound has the pair's text; any shape."""
        clip, text = np.divmod(pairs, self.num_texts)
        return contains(self._sound_texts, self.sound[clip] * self.num_texts + text)

    def own_similarity(self, pairs: Integers) -> NDArray[np.float32]:
        """The largest cosine of each pair's text and a caption of its clip's sound: (N,)."""
        largest = [np.empty(0, dtype=np.float32)]
        for block in iter_blocks(pairs, PAIRS_PER_BLOCK):
            clip, text = np.divmod(block, self.num_texts)
            sound = self.sound[clip]
            counts = self.texts_per_sound[sound]
            ends = counts.cumsum()
            positions = np.arange(ends[-1]) + np.repeat(self._ends[sound] - ends, counts)
            own = self.vectors(self._sound_texts[positions] % self.num_texts)
            others = self.vectors(text)
            if len(own) > len(others):
                others = others[np.repeat(np.arange(len(text)), counts)]
            cosines = np.einsum("ne,ne->n", own, others)
            largest.append(np.maximum.reduceat(cosines, ends - counts))
        return np.concatenate(largest)


def contains(ordered: Integers, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is in the sorted array `ordered`; any shape of values."""
    position = np.searchsorted(ordered, values)
    return np.asarray(np.append(ordered, -1)[position] == values)


def allocate(captions: int, mean: float, rng: np.random.Generator) -> Integers:
    """Whole numbers next to `mean`, in random order, whose sum is the nearest possible: (C,)."""
    sums = np.rint(np.arange(captions + 1) * mean).astype(np.int64)
    return rng.permutation(np.diff(sums))


def sample_negatives(
    index: CaptionIndex,
    group: Integers,
    counts: Integers,
    used: Integers,
    max_similarity: float,
    rng: np.random.Generator,
) -> tuple[Integers, Integers]:
    """Clips with captions of their group: (2, N), and how many each caption still lacks (C,).

    `group` (C,) is a number, or -1 for none; `counts` (C,) are requested; the pairs `used`, sorted,
    are excluded, and texts more similar than `max_similarity` to the clip's own. The captions of a
    group form a circle, in random order, and each goes round it from its own position until it has
    its count: every caption is sampled about equally often.
    """
    counts = np.where(group < 0, 0, counts)
    group = group + 1
    circle = rng.permutation(len(group))
    circle = circle[np.argsort(group[circle], kind="stable")]
    position = np.argsort(circle)  # (C,)
    sizes = np.bincount(group)
    start = (np.cumsum(sizes) - sizes)[group]  # (C,)
    size = sizes[group]  # (C,)
    lacking, sampled = counts, [np.empty((2, 0), dtype=np.int64)]
    waiting = np.arange(len(group))
    for step in range(1, MAX_TRIES):
        waiting = waiting[(lacking[waiting] > 0) & (step < size[waiting])]
        if not len(waiting):
            break
        first = start[waiting]
        other = circle[first + (position[waiting] - first + step) % size[waiting]]
        pairs = index.clip[waiting] * index.num_texts + index.text[other]
        accepted = np.zeros(len(pairs), dtype=bool)
        accepted[np.unique(pairs, return_index=True)[1]] = True
        accepted &= ~index.is_own_text(pairs) & ~contains(used, pairs)
        accepted[accepted] = index.own_similarity(pairs[accepted]) <= max_similarity
        lacking[waiting[accepted]] -= 1
        new = np.sort(pairs[accepted])
        used = np.insert(used, np.searchsorted(used, new), new)
        sampled.append(np.stack([index.clip[waiting[accepted]], other[accepted]]))
    return np.concatenate(sampled, axis=1), lacking
