"""Sounds and texts are paired by position, whatever holds them; anything else is a sentence."""

import io
from pathlib import Path
from types import SimpleNamespace

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


class BytesPath:
    """What os.scandir(b".") gives."""

    def __fspath__(self) -> bytes:
        return b"a.wav"


def test_paths_and_contents_of_every_kind_are_taken():
    stream = io.BytesIO(b"RIFF")
    stream.read()  # at its end
    contents = [b"RIFF", bytearray(b"RIFF"), memoryview(b"RIFF"), stream]
    records = [{"bytes": content, "path": None} for content in contents[:3]]
    assert [sound.content for sound in list_sounds([*contents, *records])] == [b"RIFF"] * 7
    paths = ["a.wav", BytesPath(), np.str_("a.wav"), {"path": Path("a.wav"), "bytes": None}]
    assert [sound.path for sound in list_sounds(paths)] == [Path("a.wav")] * 4


class Decoder:
    """As torchcodec's AudioDecoder, of two channels."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.calls = 0

    def get_all_samples(self) -> SimpleNamespace:
        self.calls += 1
        if not self.samples:
            raise RuntimeError("Could not open input file\nand more")
        data = torch.stack([torch.full((self.samples,), 0.25), torch.full((self.samples,), 0.75)])
        return SimpleNamespace(data=data, sample_rate=16_000)


def test_a_decoder_of_torchcodec_is_read_when_its_turn_comes_whatever_its_length():
    decoders = [Decoder(800), Decoder(3), Decoder(0)]
    whole, short, broken = list_sounds(decoders)
    assert [decoder.calls for decoder in decoders] == [0, 0, 0]
    assert whole.read().wave.tolist() == [0.5] * 800
    assert short.read().wave.tolist() == [0.5] * 3
    with pytest.raises(
        SoundjudgeError, match=r"sounds\[2\] is undecodable: Could not open input fi"
    ):
        broken.read()
    assert whole.key != short.key
    with pytest.raises(SoundjudgeError, match="sounds is one sound, a Decoder: give a list"):
        list_sounds(decoders[0])


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8", "f2"])
@pytest.mark.parametrize("change", ["big-endian", "read-only", "reversed twice", "every second"])
def test_how_an_array_lies_in_memory_does_not_matter(dtype, change):
    full = np.iinfo(dtype).max + 1 if dtype[0] == "i" else 1
    samples = (np.array([0.5, -0.25, 0.125, 0.0] * 100) * full).astype(dtype)
    changed = {
        "big-endian": samples.astype(">" + dtype),
        "read-only": samples.copy(),
        "reversed twice": samples[::-1].copy()[::-1],
        "every second": np.repeat(samples, 2)[::2],
    }[change]
    changed.flags.writeable = change != "read-only"
    assert wave_of(changed).tolist() == [0.5, -0.25, 0.125, 0.0] * 100
    assert wave_of(np.stack([changed, changed])).tolist() == [0.5, -0.25, 0.125, 0.0] * 100


@pytest.mark.parametrize("shape", [(2, 2), (2, 10), (10, 2), (64, 64), (64, 2)])
def test_a_few_samples_of_a_few_channels_may_be_either(shape):
    told = rf"is of a doubtful shape: \({shape[0]}, {shape[1]}\) may be \(T, C\) or \(C, T\)"
    with pytest.raises(SoundjudgeError, match=told):
        wave_of(np.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 1), (1, 10), (10, 1), (10,)])
def test_one_channel_is_one_channel(shape):
    assert wave_of(np.full(shape, 0.5)).tolist() == [0.5] * max(shape)


@pytest.mark.parametrize("samples", [[[0.1, 0.2], [0.3]], np.zeros((0, 2)), np.zeros((2, 0)), []])
def test_ragged_rows_and_no_samples_are_a_sentence(samples):
    with pytest.raises(SoundjudgeError, match=r"sounds\[0\] is (of a wrong shape|empty)"):
        wave_of(samples)


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_single_precision_are_told_without_a_warning():
    with pytest.raises(SoundjudgeError, match=r"sounds\[0\] is non-finite"):
        wave_of(np.full(100, 1e300))


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
        ([""], r"sounds\[0\] is the path '', and no file has it"),
        (["a.wav", "b\0.wav"], r"sounds\[1\] is the path 'b\\x00.wav', and no file has it"),
        ([{"path": " ", "bytes": None}], r"sounds\[0\] is the path ' ', and no file has it"),
        ([(WAVE, 10**400)], "its sample rate 10+ is no number"),
        ([(Path("a.wav"), 16_000)], "is a tuple: give a path"),
        ([io.StringIO("a")], r"sounds\[0\] is an open file: give its path, or its bytes"),
        (io.BytesIO(b"RIFF\nWAVE\n"), "sounds is one sound, a BytesIO: give a list"),
        (bytearray(b"RIFF"), "sounds is one sound, a bytearray: give a list"),
        (memoryview(b"RIFF"), "sounds is one sound, a memoryview: give a list"),
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
