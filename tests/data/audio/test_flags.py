"""What deserves a word is flagged; the samples of ordinary files are what they always were."""

import hashlib

import numpy as np
import pytest
from optional_packages import soundfile
from repository import ROOT
from tiny_sounds import RATE, sweep

from soundjudge.data.audio import audio

# sha256 of the float32 samples, recorded with the reader that the sample was made with
SAMPLES = {
    "rc0000": "27154f1f9d0012f3b488b98323c66b9770c292fe23d588a16ed081a1196fa520",
    "rc0016": "573d3159dfc6f9d3128c0c19a430ca62e1e7704f7710db21d5eb599304d19572",
    "rc0474": "d012a2746004321ee0dacfdca379dadcbb6d082274ed8e78611dcde76f0b6c12",
}


def flags_of(samples, rate=RATE):
    return audio.sound_from_samples(samples, rate).flags.names()


@pytest.mark.parametrize("clip", SAMPLES)
def test_the_samples_of_the_clips_do_not_change(clip):
    wave = audio.read_audio(ROOT / "data/sample/clips/ogg" / f"{clip}.ogg")
    assert wave.dtype == np.float32
    assert hashlib.sha256(wave.tobytes()).hexdigest() == SAMPLES[clip]


def test_an_ordinary_sound_has_no_flags():
    assert flags_of(sweep(1.0)) == []
    assert flags_of(np.stack([sweep(1.0, 44_100)] * 2, axis=1), 44_100) == []


@pytest.mark.parametrize(
    ("correlation", "flagged"), [(-1.0, True), (-0.95, True), (-0.8, False), (0.0, False)]
)
def test_channels_that_cancel_are_flagged_below_a_correlation_of_minus_nine_tenths(
    correlation, flagged
):
    left, other = 0.2 * np.random.default_rng(0).standard_normal((2, RATE))
    right = correlation * left + np.sqrt(1 - correlation**2) * other
    sound = audio.sound_from_samples(np.stack([left, right], axis=1), RATE)
    assert sound.flags.near_antiphase == flagged
    assert np.allclose(sound.wave, (left + right) / 2, atol=1e-6)


def test_one_channel_of_eight_does_not_cancel():
    channels = np.zeros((RATE, 8))
    channels[:, 3] = sweep(1.0)
    assert flags_of(channels) == []


def test_antiphase_that_mixes_to_silence_has_both_flags(tmp_path):
    left = sweep(1.0)
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left], axis=1), RATE)
    assert audio.read_sound(tmp_path / "a.wav").flags.names() == ["silent", "near_antiphase"]


def test_silence_is_flagged_but_is_not_antiphase():
    assert flags_of(np.zeros((RATE, 2))) == ["silent"]
    assert flags_of(sweep(1.0) * 1e-4) == ["silent"]


def test_peaks_above_full_scale_are_cut_off_and_flagged_if_they_are_more_than_a_few():
    loud = audio.sound_from_samples(10.0 * sweep(1.0), RATE)
    assert loud.flags.names() == ["clipped"]
    assert np.abs(loud.wave).max() == 1.0
    few = sweep(1.0)
    few[:16] = 1.2  # 1 of 1,000
    assert flags_of(few) == []


def test_short_sounds_and_unusual_rates_are_flagged():
    assert flags_of(sweep(0.09)) == ["short"]
    assert flags_of(sweep(0.1)) == []
    assert flags_of(sweep(1.0, 48_768), 48_768) == ["unusual_rate"]
