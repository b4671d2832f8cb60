"""Sounds and texts are paired by position, whatever holds them; anything else is a sentence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.pair_inputs import list_pairs, list_sounds, list_texts

PATHS = ["a.wav", "b.wav", "c.wav"]
TEXTS = ["a dog", "rain", "a bell"]
WAVE = np.zeros(1600, np.float32)


def frames() -> list[pd.DataFrame]:
    """The same rows, reached in several ways."""
    plain = pd.DataFrame({"sound": PATHS, "text": TEXTS})
    reverse = plain[::-1].reset_index(drop=True)[::-1]
    more = pd.concat([pd.DataFrame({"sound": ["x"], "text": ["y"]}), plain])
    return [plain, reverse, more[more["sound"] != "x"], plain.set_index(pd.Index([7, 7, 7]))]


@pytest.mark.parametrize("frame", frames())
def test_columns_of_a_frame_are_paired_by_position(frame):
    assert list_pairs(frame["sound"], frame["text"]) == ([Path(p) for p in PATHS], TEXTS)
    # One of them may be a list: a reversed frame then still pairs as it is seen.
    assert list_pairs(PATHS, frame["text"])[1] == TEXTS


@pytest.mark.parametrize(
    "texts", [TEXTS, tuple(TEXTS), iter(TEXTS), np.array(TEXTS), pd.Index(TEXTS), pd.array(TEXTS)]
)
def test_texts_may_be_any_row_of_texts(texts):
    listed = list_texts(texts)
    assert listed == TEXTS
    assert all(type(text) is str for text in listed)


def test_sounds_may_be_paths_samples_and_records():
    sounds = ("a.wav", Path("b.wav"), (WAVE, 16_000), [WAVE, np.int64(8_000)])
    records = ({"array": WAVE, "sampling_rate": 44_100, "path": None}, {"path": "c.wav"})
    tensor = (torch.zeros(9), torch.tensor(22_050))
    listed = list_sounds(sound for sound in (*sounds, *records, tensor))
    assert [listed[n] for n in (0, 1, 5)] == [Path("a.wav"), Path("b.wav"), Path("c.wav")]
    assert [listed[n][1] for n in (2, 3, 4, 6)] == [16_000, 8_000, 44_100, 22_050]
    assert all(listed[n][0] is WAVE for n in (2, 3, 4))
    assert listed[6][0] is tensor[0]


@pytest.mark.parametrize(
    ("sounds", "sentence"),
    [
        ("a.wav", "sounds is one path, 'a.wav': give a list"),
        (Path("a.wav"), "sounds is one path"),
        ((WAVE, 16_000), "sounds is one pair of samples and rate"),
        ([(16_000, WAVE)], r"sounds\[0\] is \(sample rate, samples\): give \(samples, sample rate"),
        ([(WAVE, float("nan"))], r"sounds\[0\]: its sample rate is nan: give it in Hz"),
        ([(WAVE, float("inf"))], "its sample rate is inf"),
        (["a.wav", (WAVE, 0)], r"sounds\[1\]: its sample rate is 0"),
        ([(WAVE, -1)], "its sample rate is -1"),
        ([{"array": WAVE, "sampling_rate": None}], "its sample rate None is no number"),
        ([{"array": WAVE}], "has the keys array: give a path"),
        ([WAVE], r"sounds\[0\] is a ndarray: give a path"),
        ([None], r"sounds\[0\] is None"),
        ([float("nan")], r"sounds\[0\] is nan"),
        ([("a.wav", 16_000)], "is a tuple: give a path"),
        (WAVE[None], r"an array or frame of shape \(1, 1600\): give a list, or one column"),
        (pd.DataFrame({"a": PATHS}), r"frame of shape \(3, 1\)"),
        ({"a": "a.wav"}, "sounds is a dict, which has no order"),
        (7, "sounds is 7: give a list"),
    ],
)
def test_what_is_no_row_of_sounds_is_a_sentence(sounds, sentence):
    with pytest.raises(SoundjudgeError, match=sentence):
        list_sounds(sounds)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ("a dog", "texts is one text: give a list"),
        (["a dog", None], r"texts\[1\] is None: give a text"),
        (pd.Series(["a", float("nan")]), r"texts\[1\] is nan"),
        ([["a dog"]], r"texts\[0\] is a list"),
        ({"a dog"}, "texts is a set, which has no order"),
        (None, "texts is None"),
    ],
)
def test_what_is_no_row_of_texts_is_a_sentence(texts, sentence):
    with pytest.raises(SoundjudgeError, match=sentence):
        list_texts(texts)


def test_lengths_are_compared_after_listing():
    with pytest.raises(SoundjudgeError, match="3 sounds and 2 texts: give one text per sound"):
        list_pairs((path for path in PATHS), iter(TEXTS[:2]))
