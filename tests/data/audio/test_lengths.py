"""WAV and its like: what is there is heard, whatever length is stated, or refused."""

import struct

import numpy as np
import pytest
from tiny_sounds import RATE, encode, sweep

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError

WAVE = sweep(2.0)
PCM = np.round(WAVE * 32768).astype(np.int16)
KINDS = [
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"),
    ("RF64", "PCM_16"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT"),
]  # fmt: skip


def read(path, data, first_seconds=None):
    path.write_bytes(data)
    return audio.read_audio(path, first_seconds)


def refusal(path, data, first_seconds=None):
    with pytest.raises(AudioError) as error:
        read(path, data, first_seconds)
    assert str(path) in str(error.value)
    return error.value


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
@pytest.mark.parametrize("share", [0.15, 0.5, 0.85])
def test_a_file_that_was_cut_off_is_refused_whatever_its_format(tmp_path, kind, subtype, share):
    data = encode(WAVE, kind, subtype)
    error = refusal(tmp_path / "a", data[: int(share * len(data))])
    assert error.reason == "truncated"
    assert " s of " in error.detail and error.detail.endswith("s are there")


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_a_file_that_lacks_a_twentieth_is_heard_and_flagged(tmp_path, kind, subtype):
    data = encode(WAVE, kind, subtype)
    (tmp_path / "whole").write_bytes(data)
    (tmp_path / "cut").write_bytes(data[: int(0.95 * len(data))])
    whole, cut = audio.read_sound(tmp_path / "whole"), audio.read_sound(tmp_path / "cut")
    assert len(cut.wave) == pytest.approx(0.95 * len(whole.wave), rel=0.02)
    same = len(cut.wave) - 1_017  # less a block of ADPCM
    assert np.array_equal(cut.wave[:same], whole.wave[:same])
    assert whole.flags.names() == []
    assert cut.flags.names() == ["incomplete"]


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_of_a_file_that_was_cut_off_the_seconds_that_are_there_are_heard(tmp_path, kind, subtype):
    data = encode(WAVE, kind, subtype)
    cut = data[: int(0.7 * len(data))]
    assert len(read(tmp_path / "a", cut, 1.0)) == RATE
    assert refusal(tmp_path / "a", cut, 1.8).reason == "truncated"


# Where the length of the samples stands, how it is written, and what else is counted by it.
LENGTHS = {"WAV": (40, "<I", 0), "AIFF": (42, ">I", 8)}


@pytest.mark.parametrize("kind", LENGTHS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_a_stated_length_that_is_too_short_hides_nothing(tmp_path, kind, share):
    place, code, more = LENGTHS[kind]
    data = bytearray(encode(PCM, kind, "PCM_16"))
    stated = struct.unpack_from(code, data, place)[0]
    assert abs(stated - 2 * len(WAVE) - more) <= 8
    struct.pack_into(code, data, place, int(share * 2 * len(WAVE)) // 2 * 2 + more)
    assert np.array_equal(read(tmp_path / "a", data) * 32768, PCM)


@pytest.mark.parametrize("unknown", [2**32 - 1, 0x7FFF_FFFF])
def test_a_length_that_was_not_known_is_that_of_the_file(tmp_path, unknown):
    data = bytearray(encode(WAVE, "WAV", "PCM_16"))
    struct.pack_into("<I", data, 40, unknown)
    assert len(read(tmp_path / "a", data)) == len(WAVE)
    assert len(read(tmp_path / "a", data[:20_000])) == (20_000 - 44) / 2


def test_the_64_bit_lengths_of_rf64_may_be_unknown(tmp_path):
    data = bytearray(encode(WAVE, "RF64", "PCM_16"))
    assert data[12:16] == b"ds64"
    data[20:36] = bytes(16)
    assert len(read(tmp_path / "a", data)) == len(WAVE)
    data[:4] = b"BW64"  # its newer name
    assert len(read(tmp_path / "a", data)) == len(WAVE)


def test_chunks_behind_the_samples_are_no_sound(tmp_path):
    data = bytearray(encode(WAVE, "WAV", "PCM_16"))
    text = b"LIST" + struct.pack("<I", 50_000) + bytes(50_000)
    assert len(read(tmp_path / "a", data + text)) == len(WAVE)
    struct.pack_into("<I", data, 40, 0)
    del data[44:]
    assert refusal(tmp_path / "a", data + text).reason == "empty"
    assert refusal(tmp_path / "a", data).reason == "empty"


def test_a_little_that_stands_behind_the_samples_changes_nothing(tmp_path):
    data = encode(WAVE, "WAV", "PCM_16")
    assert len(read(tmp_path / "a", data + b"TAG" + bytes(125))) == len(WAVE)


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
@pytest.mark.parametrize("between", [b"", b"LIST\0\0\0\0"])
def test_joined_files_are_refused_and_not_heard_in_part(tmp_path, kind, between):
    data = encode(WAVE, kind, "PCM_16")
    assert "another file is joined" in refusal(tmp_path / "a", data + between + data, 0.5).detail


@pytest.mark.parametrize(
    ("place", "code", "value"),
    [
        (22, "<H", 3),  # channels
        (24, "<I", RATE + 32_768),
        (34, "<H", 24),  # bits
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, place, code, value):
    data = bytearray(encode(WAVE, "WAV", "PCM_16"))
    struct.pack_into(code, data, place, value)
    assert refusal(tmp_path / "a", data, first_seconds=0.1).reason == "damaged"


def test_a_sloppy_byte_rate_is_no_contradiction(tmp_path):
    data = bytearray(encode(WAVE, "WAV", "PCM_16"))
    struct.pack_into("<I", data, 28, 176_400)  # of another rate and two channels
    assert len(read(tmp_path / "a", data)) == len(WAVE)


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2**31 - 1])
def test_a_rate_that_no_sound_has_is_refused(tmp_path, rate):
    data = bytearray(encode(WAVE, "WAV", "PCM_16"))
    struct.pack_into("<II", data, 24, rate, (2 * rate) % 2**32)
    assert f"a sample rate of {rate} Hz" in refusal(tmp_path / "a", data).detail


@pytest.mark.parametrize("rate", [float("nan"), 0, -1, -16_000, 1e12, float("inf")])
def test_an_array_has_a_rate_that_a_sound_has(rate):
    with pytest.raises(AudioError, match="a sample rate of"):
        audio.from_samples(WAVE, rate)


def test_a_sound_may_be_named_raw(tmp_path):
    assert len(read(tmp_path / "a.raw", encode(WAVE, "WAV", "PCM_16"))) == len(WAVE)


@pytest.mark.parametrize(
    "kind",
    [
        "AU", "AVR", "CAF", "HTK", "IRCAM", "MAT4", "MAT5", "MPC2K", "NIST", "PAF", "PVF",
        "SVX", "VOC", "W64", "WVE", "XI",
    ],
)  # fmt: skip
def test_a_format_whose_length_nothing_checks_is_refused_with_a_remedy(tmp_path, kind):
    subtype = {"WVE": "ALAW", "XI": "DPCM_16"}.get(kind, "PCM_16")
    data = encode(WAVE, kind, subtype, 8_000 if kind == "WVE" else RATE)
    assert "ffmpeg -i a.x a.wav" in refusal(tmp_path / "a.x", data, 0.1).detail


def test_a_wav_of_the_other_byte_order_is_refused(tmp_path):
    data = encode(WAVE, "WAV", "PCM_16", endian="BIG")
    assert data[:4] == b"RIFX"
    assert "convert it" in refusal(tmp_path / "a", data).detail
