"""Ratings as columns of whole numbers, so that nothing below hashes a string twice.

N = ratings, P = pairs, L = listeners. A pair is a (wav_file_name, text). In the challenge a sound
has one text, so that pairs are sounds; a user's sound with two texts is two pairs, because two
texts are two questions. Columns of ids may be text or categorical.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PAIR = ["wav_file_name", "text"]

Column: TypeAlias = "pd.Series[Any]"
Numbers: TypeAlias = NDArray[np.int32]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RatingArrays:
    """The columns of N ratings that arithmetic needs."""

    pair: Numbers  # (N,) 0 to P - 1, in order of first appearance
    listener: Numbers  # (N,) 0 to L - 1
    score: NDArray[np.floating[Any]]  # (N,) rating points
    pairs: int  # P
    names: "pd.Index[Any]"  # (L,) the id of each listener; some may have no rating here

    @property
    def listeners(self) -> int:
        """L."""
        return len(self.names)

    def where(self, rows: NDArray[np.bool_]) -> "RatingArrays":
        """The ratings where `rows` is true; numbers of pairs and listeners stay what they are."""
        return RatingArrays(
            pair=self.pair[rows],
            listener=self.listener[rows],
            score=self.score[rows],
            pairs=self.pairs,
            names=self.names,
        )


def rating_arrays(ratings: pd.DataFrame | RatingArrays) -> RatingArrays:
    """The columns wav_file_name, text, listener_id and score of checked ratings, as numbers."""
    if isinstance(ratings, RatingArrays):
        return ratings
    pair = pair_codes(ratings)
    listener, names = _numbers(ratings["listener_id"])
    return RatingArrays(
        pair=pair,
        listener=listener,
        score=ratings["score"].to_numpy(),
        pairs=int(pair.max()) + 1 if len(pair) else 0,
        names=names,
    )


def pair_codes(ratings: pd.DataFrame) -> Numbers:
    """The number of each rating's pair, in order of first appearance. (N,)"""
    sound, sounds = _numbers(ratings["wav_file_name"])
    text, texts = _numbers(ratings["text"])
    return combine_codes(sound, len(sounds), text, len(texts))


def combine_codes(sound: Numbers, sounds: int, text: Numbers, texts: int) -> Numbers:
    """The number of each rating's pair, given those of its sound and text. 2 x (N,) -> (N,)"""
    only = np.zeros(sounds, dtype=np.int32)
    only[sound] = text
    if (only[sound] == text).all():  # one text a sound
        return _in_order(sound, sounds)
    return pd.factorize(sound.astype(np.int64) * texts + text)[0].astype(np.int32)


def first_rows(pair: Numbers, pairs: int) -> NDArray[np.intp]:
    """The row of each pair's first rating. (N,) -> (P,); N for a number that no row has"""
    rows = np.full(pairs, len(pair), dtype=np.intp)
    rows[pair[::-1]] = np.arange(len(pair) - 1, -1, -1)  # of several assignments the last one stays
    return rows


def group_counts(group: Numbers, groups: int) -> Floats:
    """How many rows each group has. (N,) -> (groups,)"""
    return np.bincount(group, minlength=groups).astype(np.float64, copy=False)


def group_sums(group: Numbers, values: NDArray[Any], groups: int) -> Floats:
    """The sum of each group's values, in the order of the rows. (N,), (N,) -> (groups,)"""
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64, copy=False)


def group_means(group: Numbers, values: NDArray[Any], groups: int) -> Floats:
    """The mean of each group's values; 0 for a group without rows. (N,), (N,) -> (groups,)"""
    return group_sums(group, values, groups) / np.maximum(group_counts(group, groups), 1)


def group_is_constant(group: Numbers, values: NDArray[Any], groups: int) -> NDArray[np.bool_]:
    """Whether all values of a group are equal, as one value is. (N,), (N,) -> (groups,)"""
    some = np.zeros(groups, dtype=values.dtype)
    some[group] = values  # any one of the group's
    alike: NDArray[np.bool_] = group_sums(group, values != some[group], groups) == 0
    return alike


def _numbers(column: Column) -> tuple[Numbers, "pd.Index[Any]"]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(np.int32), column.cat.categories
    numbers, names = pd.factorize(column)
    return numbers.astype(np.int32), pd.Index(names)


def _in_order(code: Numbers, codes: int) -> Numbers:
    first = first_rows(code, codes)
    order = np.argsort(first, kind="stable")  # codes that no row has come last
    rank = np.empty(codes, dtype=np.int32)
    rank[order] = np.arange(codes, dtype=np.int32)
    return rank[code]
