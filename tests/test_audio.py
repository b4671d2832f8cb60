"""One waveform comes out, whatever the file or array was; what is no sound is refused."""

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal

from soundjudge.data import audio
from soundjudge.data.audio import AudioError


def test_a_16_bit_16_khz_mono_file_comes_back_sample_for_sample(tmp_path, tone):
    pcm = np.round(tone(440.0) * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", pcm, 16_000)
    wave = audio.read(tmp_path / "a.wav")
    assert wave.dtype == np.float32
    assert np.array_equal(wave * 32768, pcm)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "aiff"])
def test_other_formats_sound_the_same(tmp_path, tone, suffix):
    wave = tone(440.0, seconds=1.0)
    soundfile.write(tmp_path / f"a.{suffix}", wave, 16_000)
    heard = audio.read(tmp_path / f"a.{suffix}")[2_000:14_000]
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.02)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 16_000 / len(heard) == pytest.approx(440.0, abs=1.5)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_another_rate_is_resampled_to_the_same_tone(tmp_path, tone, rate):
    soundfile.write(tmp_path / "a.wav", tone(440.0, 1.0, rate), rate, subtype="FLOAT")
    wave = audio.read(tmp_path / "a.wav")
    assert len(wave) == 16_000
    assert np.abs(wave - tone(440.0, 1.0))[500:-500].max() < 1e-3


def test_resampling_agrees_with_an_independent_resampler(tone):
    noise = np.random.default_rng(0).standard_normal(48_000)
    low = signal.sosfiltfilt(signal.butter(8, 5_000, fs=48_000, output="sos"), noise) * 0.1
    ours = audio.from_samples(low, 48_000)
    theirs = signal.resample_poly(low, 1, 3)
    assert np.abs(ours - theirs)[500:-500].max() < 2e-3


def test_channels_are_averaged(tone):
    left, right = tone(440.0), tone(1000.0)
    wave = audio.from_samples(np.stack([left, right], axis=1), 16_000)
    assert np.allclose(wave, (left + right) / 2)


def test_averaging_and_resampling_commute(tone):
    both = np.stack([tone(440.0, 0.5, 48_000), tone(1000.0, 0.5, 48_000)], axis=1)
    apart = [audio.from_samples(both[:, channel], 48_000) for channel in (0, 1)]
    assert np.allclose(audio.from_samples(both, 48_000), np.mean(apart, axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0, 16384, -32768], np.int16), [0.0, 0.5, -1.0]),
        (np.array([0, 2**30, -(2**31)], np.int32), [0.0, 0.5, -1.0]),
        (np.array([128, 192, 0], np.uint8), [0.0, 0.5, -1.0]),
        (np.array([0.0, 0.5, -1.0]), [0.0, 0.5, -1.0]),
        (torch.tensor([0.0, 0.5, -1.0], requires_grad=True), [0.0, 0.5, -1.0]),
        ([0.0, 0.5, -1.0], [0.0, 0.5, -1.0]),
        (np.array([0.0, 1.5, -1.2], np.float32), [0.0, 1.0, -1.0]),
    ],
)
def test_every_sample_type_has_its_full_scale(samples, expected):
    assert audio.from_samples(samples, 16_000).tolist() == expected


def test_reading_the_first_seconds_reads_the_same_sound(tmp_path, tone):
    soundfile.write(tmp_path / "a.wav", tone(440.0, 3.0, 44_100), 44_100, subtype="FLOAT")
    whole = audio.read(tmp_path / "a.wav")
    part = audio.read(tmp_path / "a.wav", first_seconds=2.0)
    assert len(part) == 32_000
    assert np.allclose(part[:16_000], whole[:16_000], atol=1e-6)


def refused(path, reason, detail):
    with pytest.raises(AudioError, match=detail) as error:
        audio.read(path)
    assert error.value.reason == reason
    assert str(path) in str(error.value)


def test_a_file_that_is_no_sound_is_refused_with_its_reason(tmp_path):
    refused(tmp_path / "none.wav", "missing", "no such file")
    (tmp_path / "zero.wav").write_bytes(b"")
    refused(tmp_path / "zero.wav", "empty", "no bytes")
    (tmp_path / "page.mp3").write_text("<html>404</html>")
    refused(tmp_path / "page.mp3", "undecodable", "page.mp3 is undecodable: .")
    (tmp_path / "x.raw").write_bytes(b"1234")
    refused(tmp_path / "x.raw", "undecodable", "headerless")
    soundfile.write(tmp_path / "silent.wav", np.empty(0, np.float32), 16_000)
    refused(tmp_path / "silent.wav", "empty", "no samples")
    soundfile.write(tmp_path / "nan.wav", np.array([0, np.nan]), 16_000, subtype="FLOAT")
    refused(tmp_path / "nan.wav", "non-finite", "NaN")
    soundfile.write(tmp_path / "big.wav", np.array([0, 3e4]), 16_000, subtype="FLOAT")
    refused(tmp_path / "big.wav", "out of range", "peak of 30000")


def test_a_truncated_flac_is_refused(tmp_path, tone):
    soundfile.write(tmp_path / "a.flac", tone(440.0, 2.0), 16_000)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) // 8])
    with pytest.raises(AudioError):
        audio.read(tmp_path / "a.flac")


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (np.empty(0), 16_000, "empty"),
        (np.zeros((2, 48_000)), 48_000, "of a wrong shape"),
        (np.zeros((2, 2, 2)), 48_000, "of a wrong shape"),
        (np.array(["a"]), 16_000, "of a wrong type"),
        (np.array([1, 2]), 16_000, "of a wrong type"),
        (np.array([np.inf]), 16_000, "non-finite"),
        (np.zeros(5), 0, "undecodable"),
        (np.zeros(1), 96_000, "empty"),
    ],
)
def test_an_array_that_is_no_sound_is_refused_with_its_reason(samples, rate, reason):
    with pytest.raises(AudioError) as error:
        audio.from_samples(samples, rate)
    assert error.value.reason == reason


def test_silence_is_a_sound():
    assert not audio.from_samples(np.zeros(100), 16_000).any()
