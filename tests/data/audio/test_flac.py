"""FLAC: as many samples as its frames hold, whatever STREAMINFO states."""

import numpy as np
import pytest
from tiny_sounds import RATE, encode, sweep

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError

WAVE = np.round(sweep(2.0) * 32768).astype(np.int16)


def read(path, data, first_seconds=None):
    path.write_bytes(data)
    return audio.read_audio(path, first_seconds)


def refusal(path, data):
    with pytest.raises(AudioError) as error:
        read(path, data)
    return error.value


def stating(flac, count):
    word = int.from_bytes(flac[18:26], "big")
    assert word & (1 << 36) - 1 == len(WAVE)
    return flac[:18] + (word - len(WAVE) + count).to_bytes(8, "big") + flac[26:]


@pytest.mark.parametrize("count", [0, 100, 16_000, 31_999, 33_000])
@pytest.mark.parametrize("rate", [RATE, 44_100, 50_000])
def test_a_length_that_is_unknown_or_too_short_hides_nothing(tmp_path, count, rate):
    heard = read(tmp_path / "a.flac", stating(encode(WAVE, "FLAC", "PCM_16", rate), count))
    expected = audio.from_samples(WAVE, rate)
    assert np.array_equal(heard, expected)


def test_a_length_that_is_much_too_long_is_refused(tmp_path):
    data = stating(encode(WAVE, "FLAC", "PCM_16"), 64_000)
    assert "2.00 s of 4.00 s" in refusal(tmp_path / "a.flac", data).detail
    assert len(read(tmp_path / "a.flac", data, 1.5)) == 24_000


def test_joined_files_are_heard_one_after_the_other(tmp_path):
    data = encode(WAVE, "FLAC", "PCM_16") + encode(WAVE[:8000], "FLAC", "PCM_16")
    heard = read(tmp_path / "a.flac", data) * 32768
    assert np.array_equal(heard, np.concatenate([WAVE, WAVE[:8000]]))


def test_a_tag_before_or_behind_changes_nothing(tmp_path):
    data = (
        b"ID3\x04\0\0\0\0\0\x10" + bytes(16) + encode(WAVE, "FLAC", "PCM_16") + b"TAG" + bytes(125)
    )
    assert np.array_equal(read(tmp_path / "a.flac", data) * 32768, WAVE)


def test_a_damaged_frame_is_refused_where_it_would_be_heard(tmp_path):
    data = bytearray(encode(WAVE, "FLAC", "PCM_16"))
    data[len(data) * 3 // 4] ^= 1
    assert refusal(tmp_path / "a.flac", data).reason == "undecodable"
    assert np.array_equal(read(tmp_path / "a.flac", data, 0.5) * 32768, WAVE[:8000])


def test_a_rate_that_the_frames_deny_is_refused(tmp_path):
    data = bytearray(encode(WAVE, "FLAC", "PCM_16"))
    data[18:21] = (44_100 << 4 | data[20] & 15).to_bytes(3, "big")
    error = refusal(tmp_path / "a.flac", data)
    assert error.reason == "damaged" and "44100 and 16000 Hz" in error.detail


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_of_every_kind_are_counted(tmp_path, level, channels):
    wave = np.stack([WAVE, WAVE // 2], axis=1)[:, :channels]
    data = encode(wave, "FLAC", "PCM_16", compression_level=level)
    assert np.array_equal(read(tmp_path / "a", stating(data, 0)), read(tmp_path / "a", data))
