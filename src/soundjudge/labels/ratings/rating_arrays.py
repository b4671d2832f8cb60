"""Ratings as columns of numbers, so that no string is hashed twice.

N = ratings, P = pairs, L = listeners. A pair is a (wav_file_name, text). In the challenge a sound
has one text, so that pairs are sounds; a user's sound with two texts is two pairs, because two
texts are two questions. Columns of ids may be text or categorical.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PAIR = ["wav_file_name", "text"]

Column: TypeAlias = "pd.Series[Any]"
Codes: TypeAlias = NDArray[np.int32]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RatingArrays:
    """N ratings, with pairs and listeners as codes."""

    pair: Codes  # (N,) 0 to P - 1, in order of first appearance
    listener: Codes  # (N,) 0 to L - 1
    score: NDArray[np.floating[Any]]  # (N,) rating points
    num_pairs: int  # P
    listener_ids: "pd.Index[Any]"  # (L,) some may have no rating here

    @property
    def num_listeners(self) -> int:
        """L."""
        return len(self.listener_ids)

    def where(self, rows: NDArray[np.bool_]) -> "RatingArrays":
        """The ratings where `rows` (N,) is true; the codes of pairs and listeners stay."""
        return replace(
            self, pair=self.pair[rows], listener=self.listener[rows], score=self.score[rows]
        )


def rating_arrays(ratings: pd.DataFrame | RatingArrays) -> RatingArrays:
    """The columns wav_file_name, text, listener_id and score of checked ratings."""
    if isinstance(ratings, RatingArrays):
        return ratings
    pair = pair_codes(ratings)
    listener, listener_ids = _codes(ratings["listener_id"])
    return RatingArrays(
        pair=pair,
        listener=listener,
        score=ratings["score"].to_numpy(),
        num_pairs=int(pair.max()) + 1 if len(pair) else 0,
        listener_ids=listener_ids,
    )


def pair_codes(ratings: pd.DataFrame) -> Codes:
    """The code of each rating's pair, or sound without texts; in order of first appearance. (N,)"""
    sound, sounds = _codes(ratings["wav_file_name"])
    if "text" not in ratings:
        return _order_codes(sound, len(sounds))
    text, texts = _codes(ratings["text"])
    only = np.zeros(len(sounds), dtype=np.int32)
    only[sound] = text
    if (only[sound] == text).all():  # one text per sound
        return _order_codes(sound, len(sounds))
    return pd.factorize(sound.astype(np.int64) * len(texts) + text)[0].astype(np.int32)


def first_rows(pair: Codes, pairs: int) -> NDArray[np.intp]:
    """The row of each pair's first rating. (N,) -> (P,); N for a code that no row has"""
    rows = np.full(pairs, len(pair), dtype=np.intp)
    rows[pair[::-1]] = np.arange(len(pair) - 1, -1, -1)  # of several assignments the last one stays
    return rows


def pairs_of(
    ratings: pd.DataFrame, arrays: RatingArrays, columns: Sequence[str] = PAIR
) -> pd.DataFrame:
    """These columns of every pair, as far as the `ratings` have them. (P rows)"""
    names = [name for name in columns if name in ratings]
    first = first_rows(arrays.pair, arrays.num_pairs)
    pairs: pd.DataFrame = ratings[names].iloc[first].reset_index(drop=True)
    return pairs


def group_counts(group: Codes, groups: int) -> Floats:
    """The number of rows of each group. (N,) -> (groups,)"""
    return np.bincount(group, minlength=groups).astype(np.float64, copy=False)


def group_sums(group: Codes, values: NDArray[Any], groups: int) -> Floats:
    """The sum of each group's values, in the order of the rows. (N,), (N,) -> (groups,)"""
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64, copy=False)


def group_means(group: Codes, values: NDArray[Any], groups: int) -> Floats:
    """The mean of each group's values; 0 for a group without rows. (N,), (N,) -> (groups,)"""
    return group_sums(group, values, groups) / np.maximum(group_counts(group, groups), 1)


def group_is_constant(group: Codes, values: NDArray[Any], groups: int) -> NDArray[np.bool_]:
    """Whether all values of a group are equal; true of a single one. (N,), (N,) -> (groups,)"""
    any_value = np.zeros(groups, dtype=values.dtype)
    any_value[group] = values
    constant: NDArray[np.bool_] = group_sums(group, values != any_value[group], groups) == 0
    return constant


def _codes(column: Column) -> tuple[Codes, "pd.Index[Any]"]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(np.int32), column.cat.categories
    codes, values = pd.factorize(column)
    return codes.astype(np.int32), pd.Index(values)


def _order_codes(codes: Codes, size: int) -> Codes:
    """The same groups, with codes in order of first appearance."""
    order = np.argsort(first_rows(codes, size), kind="stable")  # codes that no row has come last
    rank = np.empty(size, dtype=np.int32)
    rank[order] = np.arange(size, dtype=np.int32)
    return rank[codes]
