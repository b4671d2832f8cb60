"""Texts of equal words, and the captions that repeat rated texts.

N texts.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeAlias

import pandas as pd

Texts: TypeAlias = "pd.Series[Any]"

WORD = re.compile(r"\w+")


def normalize_texts(texts: Texts) -> Texts:
    """The words of each text in lower case, without punctuation: (N,).

    A text without a letter or digit stays as it is.
    """
    return pd.Series([_words(text) for text in texts.array.to_numpy()], texts.index, dtype="str")


def _words(text: str) -> str:
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(WORD.findall(plain.casefold())) or text.strip()


def word_sets(words: Texts) -> Texts:
    """Normalized texts with each word once and in alphabetical order: (N,)."""
    sets = [" ".join(sorted(set(text.split()))) for text in words.array.to_numpy()]
    return pd.Series(sets, words.index, dtype="str")


def count_overlap(captions: Texts, rated: pd.DataFrame) -> dict[str, dict[str, int]]:
    """By rated split: its distinct texts, and the numbers of captions of equal words, or word sets.

    `captions` are normalized texts, `rated` has the columns split and words.
    """
    sets = word_sets(captions)
    overlap = {}
    for split, texts in rated.groupby("split")["words"]:
        overlap[str(split)] = {
            "rated_texts": int(texts.nunique()),
            "rated_texts_seen": int(_is_in(texts.drop_duplicates(), captions).sum()),
            "captions_of_equal_words": int(_is_in(captions, texts).sum()),
            "captions_of_equal_word_sets": int(_is_in(sets, word_sets(texts)).sum()),
        }
    return overlap


def repeats_rated_text(captions: Texts, rated: pd.DataFrame, splits: Sequence[str]) -> Texts:
    """Whether each caption has the words of a rated text of these splits: (N,) of bool."""
    return _is_in(captions, rated["words"][rated["split"].isin(splits)])


def without_rated_texts(
    captions: pd.DataFrame, rated: pd.DataFrame, splits: Sequence[str]
) -> pd.DataFrame:
    """The CAPTIONS whose words are no rated text's of these splits; `rated` is a RATED table."""
    if not splits:
        return captions
    words = normalize_texts(captions["text"])
    rated = rated.assign(words=normalize_texts(rated["text"]))
    return captions[~repeats_rated_text(words, rated, splits)]


def _is_in(texts: Texts, others: Texts) -> Texts:
    values = set(others.array.to_numpy())  # many times faster than isin of text columns
    return pd.Series([text in values for text in texts.array.to_numpy()], texts.index, dtype="bool")
