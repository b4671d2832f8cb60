"""Joins tables of scores by their pairs; a missing, extra or double row is an error.

Tables that both have a text are joined by clip and text, others by the clip alone.
"""

import reprlib
from collections.abc import Collection, Hashable, Iterator

import pandas as pd

from soundjudge.data.tables import spellings
from soundjudge.data.tables.schema import Kind, Table
from soundjudge.errors import SoundjudgeError

PAIR = ["wav_file_name", "text"]
CLIP, TEXT = PAIR
SHORT = reprlib.Repr()
SHORT.maxstring = 120  # of a text in an error
LIMIT = 1e6  # of scores on any scale: squares of larger ones tell nothing


def pair_table(columns: Collection[Hashable], *numbers: str) -> Table:
    """The rules of a table of pairs with these columns, of which `numbers` are finite."""
    names = [name for name in PAIR if name == CLIP or name in columns]
    kinds: dict[str, Kind] = dict.fromkeys(names, "str")
    kinds.update((name, "float") for name in numbers)
    ranges = dict.fromkeys(numbers, (-LIMIT, LIMIT))
    return Table(name="scores", columns=kinds, key=tuple(names), ranges=ranges)


def match_pairs(
    left: pd.DataFrame, right: pd.DataFrame, left_name: str, right_name: str
) -> pd.DataFrame:
    """The columns of both, in the row order of `right`.

    Raises SoundjudgeError, with the names, unless both hold the same pairs, each once.
    """
    key = [name for name in PAIR if name in left and name in right]
    for frame, name in ((left, left_name), (right, right_name)):
        repeated = frame.duplicated(key)
        if repeated.any():
            raise SoundjudgeError(
                f"{name} has {frame.loc[repeated, CLIP].iloc[0]} twice: remove one row, or, where "
                "their texts differ, give both tables a text column"
            )
    _check_subset(right, left, key, f"{left_name} lacks", f"of {right_name}")
    _check_subset(left, right, key, f"{left_name} has", f"that {right_name} lacks")
    # The text of one side is enough where they are joined by clip alone.
    shared = [name for name in left if name not in key and name in right]
    return right.merge(left.drop(columns=shared), on=key, how="left", validate="one_to_one")


def _check_subset(
    frame: pd.DataFrame, others: pd.DataFrame, key: list[str], before: str, after: str
) -> None:
    expected = set(_pairs(others, key))
    outside = [pair for pair in _pairs(frame, key) if pair not in expected]
    if outside:
        form = _normal_form(outside[0])
        similar = sorted(pair for pair in expected if _normal_form(pair) == form)
        hint = f"; {_show(similar[0])} differs from it in spelling only" if similar else ""
        if not similar and (instead := sorted(expected.difference(_pairs(frame, key)))):
            hint = f"; {len(instead)} others are there instead, the first is {_show(instead[0])}"
        first = f"{_show(outside[0])}{hint}"
        raise SoundjudgeError(f"{before} {len(outside)} pairs {after}, the first is {first}")


def _pairs(frame: pd.DataFrame, key: list[str]) -> Iterator[tuple[str, ...]]:
    # Lists are read faster than pandas' own strings.
    return zip(*(frame[name].tolist() for name in key), strict=True)


def _show(pair: tuple[str, ...]) -> str:
    return " + ".join(map(SHORT.repr, pair))


def _normal_form(pair: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(spellings.normal_form(part) for part in pair)
