"""The captions of one split as numbers: who says what of which sound, and how close texts come.

C captions, U distinct texts, N couples, E embedding dimensions, B texts asked for.
A couple is a clip and a text, as one number: clip * U + text.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.labels.pairs.neighbors import Integers, iter_blocks
from soundjudge.labels.pairs.unit_vectors import take_float32

PAIRS_PER_BLOCK = 16_384  # couples whose similarities are taken at once


class CaptionIndex:
    """What `negatives.pairs` asks of a split; the order of its rows does not matter.

    `table` has the columns caption and clip, numbers that follow the order of the ids; caption_id,
    words, label, sha256. `said` holds the embedding of each caption.
    """

    def __init__(self, table: pd.DataFrame, said: ArrayStore) -> None:
        table = table.sort_values("caption")
        self.numbers = table["caption"].to_numpy(dtype=np.int64)  # (C,)
        self.clip_numbers, first, self.clip = np.unique(
            table["clip"].to_numpy(dtype=np.int64), return_index=True, return_inverse=True
        )  # clip: (C,)
        self.text = pd.factorize(table["words"])[0].astype(np.int64)  # (C,)
        self.label = pd.factorize(table["label"])[0].astype(np.int64)  # (C,), -1 for none
        self.texts = int(self.text.max(initial=-1)) + 1  # U
        self.sound = pd.factorize(table["sha256"])[0].astype(np.int64)[first]  # of each clip
        self.speaker = np.unique(self.text, return_index=True)[1]  # (U,) a caption of each text
        self._rows = said.places(table["caption_id"].iloc[self.speaker].to_numpy())
        self._said = said
        self._own = np.unique(self.sound[self.clip] * self.texts + self.text)
        self.own_counts = np.bincount(self._own // max(1, self.texts))  # texts of each sound
        self._own_ends = self.own_counts.cumsum()

    def vectors(self, texts: Integers) -> NDArray[np.float32]:
        """Unit embeddings of texts: (B, E)."""
        return take_float32(self._said, self._rows[texts])

    def own(self, couples: Integers) -> NDArray[np.bool_]:
        """Whether a caption of the clip's sound has the couple's text: of the couples' shape."""
        clip, text = np.divmod(couples, self.texts)
        return contains(self._own, self.sound[clip] * self.texts + text)

    def closest(self, couples: Integers) -> NDArray[np.float32]:
        """How close each couple's text comes to a caption of its clip's sound: cosines (N,)."""
        closest = [np.empty(0, dtype=np.float32)]
        for block in iter_blocks(couples, PAIRS_PER_BLOCK):
            clip, text = np.divmod(block, self.texts)
            sound = self.sound[clip]
            counts = self.own_counts[sound]
            ends = counts.cumsum()
            places = np.arange(ends[-1]) + np.repeat(self._own_ends[sound] - ends, counts)
            mine, theirs = self.vectors(self._own[places] % self.texts), self.vectors(text)
            if len(mine) > len(theirs):
                theirs = theirs[np.repeat(np.arange(len(text)), counts)]
            cosines = np.einsum("ne,ne->n", mine, theirs)
            closest.append(np.maximum.reduceat(cosines, ends - counts))
        return np.concatenate(closest)


def contains(known: Integers, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is among the sorted `known`: of the values' shape."""
    place = np.searchsorted(known, values)
    return np.asarray(np.append(known, -1)[place] == values)
