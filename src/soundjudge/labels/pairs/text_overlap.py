"""When two texts use the same words, and which captions repeat the texts that people rated.

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
    """The words of each text in lower case (N,): what differs in case, spacing or signs is equal.

    A text without a letter or digit is its own only word.
    """
    return pd.Series([_words(text) for text in texts.array.to_numpy()], texts.index, dtype="str")


def _words(text: str) -> str:
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(WORD.findall(plain.casefold())) or text.strip()


def word_sets(worded: Texts) -> Texts:
    """Texts of `words` with each word once and in alphabetical order: (N,)."""
    sets = [" ".join(sorted(set(text.split()))) for text in worded.array.to_numpy()]
    return pd.Series(sets, worded.index, dtype="str")


def count_overlap(captions: Texts, rated: pd.DataFrame) -> dict[str, dict[str, int]]:
    """By rated split: its distinct texts, and how many captions have the same words, or word set.

    `captions` are those of `words`, `rated` has the columns split and words.
    """
    sets = word_sets(captions)
    found = {}
    for split, texts in rated.groupby("split")["words"]:
        found[str(split)] = {
            "rated_texts": int(texts.nunique()),
            "rated_texts_seen": int(_among(texts.drop_duplicates(), captions).sum()),
            "captions_of_equal_words": int(_among(captions, texts).sum()),
            "captions_of_equal_word_sets": int(_among(sets, word_sets(texts)).sum()),
        }
    return found


def repeats_rated_text(captions: Texts, rated: pd.DataFrame, splits: Sequence[str]) -> Texts:
    """Whether each caption has the words of a rated text of these splits: (N,) of bool."""
    return _among(captions, rated["words"][rated["split"].isin(splits)])


def _among(texts: Texts, others: Texts) -> Texts:
    known = set(others.array.to_numpy())  # many times faster than isin of text columns
    return pd.Series([text in known for text in texts.array.to_numpy()], texts.index, dtype="bool")
