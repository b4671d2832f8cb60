"""Sounds and texts are paired by position, whatever holds them; anything else is a sentence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from optional_packages import soundfile

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
    listed, texts = list_pairs(frame["sound"], frame["text"])
    assert ([sound.path for sound in listed], texts) == ([Path(p) for p in PATHS], TEXTS)
    # One of them may be a list: a reversed frame then still pairs as it is seen.
    assert list_pairs(PATHS, frame["text"])[1] == TEXTS


@pytest.mark.parametrize(
    "texts", [TEXTS, tuple(TEXTS), iter(TEXTS), np.array(TEXTS), pd.Index(TEXTS), pd.array(TEXTS)]
)
def test_texts_may_be_any_row_of_texts(texts):
    listed = list_texts(texts)
    assert listed == TEXTS
    assert all(type(text) is str for text in listed)


def test_sounds_may_be_paths_samples_bytes_and_records():
    sounds = ("a.wav", Path("b.wav"), (WAVE, 16_000), [WAVE, np.int64(8_000)])
    records = ({"array": WAVE, "sampling_rate": 44_100, "path": None}, {"path": "c.wav"})
    tensor = (torch.zeros(9), torch.tensor(22_050))
    contents = (b"RIFF", {"bytes": b"fLaC", "path": "d.flac"})
    listed = list_sounds(sound for sound in (*sounds, *records, tensor, *contents))
    assert [listed[n].path for n in (0, 1, 5)] == [Path("a.wav"), Path("b.wav"), Path("c.wav")]
    assert [listed[n].sample_rate for n in (2, 3, 4, 6)] == [16_000, 8_000, 44_100, 22_050]
    assert all(listed[n].samples is WAVE for n in (2, 3, 4))
    assert listed[6].samples is tensor[0]
    assert [listed[n].content for n in (7, 8)] == [b"RIFF", b"fLaC"]


def test_one_rate_stands_for_a_whole_batch_and_for_bare_samples():
    batch = torch.arange(24.0).view(3, 2, 4)
    for sounds, rate in ((batch, 8_000), ((batch, 8_000), None), (list(batch.mT), 8_000)):
        listed = list_sounds(sounds, rate)
        assert [sound.sample_rate for sound in listed] == [8_000] * 3
        assert all(torch.equal(s.samples, row.T) for s, row in zip(listed, batch, strict=True))
    assert [sound.samples.shape for sound in list_sounds(batch[:, 0].numpy(), 8_000)] == [(4,)] * 3
    mixed = list_sounds(["a.wav", WAVE, (WAVE, 44_100)], 8_000)
    assert [sound.sample_rate for sound in mixed[1:]] == [8_000, 44_100]


def test_equal_keys_are_equal_sounds():
    one, two, other = list_sounds([(WAVE, 8_000), (WAVE, 8_000), (WAVE, 16_000)])
    assert one.key == two.key != other.key
    assert list_sounds(["a.wav"])[0].key == list_sounds([Path("a.wav")])[0].key


def wave_of(samples: object, rate: int = 16_000) -> np.ndarray:
    return list_sounds([(samples, rate)])[0].read().wave


def test_channels_first_and_last_are_told_apart_where_they_are_unmistakable():
    stereo = np.random.default_rng(0).normal(size=(2, 500)).astype(np.float32) * 0.1
    mean = stereo.mean(axis=0)
    for kind in (np.asarray, torch.from_numpy):
        for shape in (stereo, np.ascontiguousarray(stereo.T)):
            assert wave_of(kind(shape)) == pytest.approx(mean, abs=1e-7)
    assert wave_of(torch.from_numpy(stereo[:1])) == pytest.approx(stereo[0])
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        rounded = torch.from_numpy(stereo).to(dtype)
        assert wave_of(rounded) == pytest.approx(rounded.float().numpy().mean(axis=0), abs=1e-7)
    with pytest.raises(SoundjudgeError, match=r"sounds\[0\] is of a doubtful shape: \(2, 60\)"):
        wave_of(stereo[:, :60])
    with pytest.raises(SoundjudgeError, match=r"sounds\[0\] is of a wrong shape: \(100, 500\)"):
        wave_of(np.zeros((100, 500)))


def test_the_bytes_of_a_file_are_the_file(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(800, 0.25), 16_000, subtype="FLOAT")
    content = (tmp_path / "a.wav").read_bytes()
    (read,) = (sound.read() for sound in list_sounds([content]))
    assert read.wave.tolist() == [0.25] * 800
    with pytest.raises(SoundjudgeError, match=r"sounds\[1\] is"):
        list_sounds([content, content[:50]])[1].read()


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
