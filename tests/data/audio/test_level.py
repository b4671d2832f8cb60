"""Silence, and one root mean square for all that is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundjudge.data.audio.level import amplitude, is_silent, normalize_level


def tone(peak, samples=1_600):
    return (peak * np.sin(np.arange(samples) * np.pi / 8)).astype(np.float32)


def rms(wave):
    return np.sqrt(np.mean(wave.astype(np.float64) ** 2))


def test_the_amplitude_of_a_level():
    assert amplitude(0.0) == 1.0
    assert amplitude(-60.0) == pytest.approx(1e-3)


def test_silence_is_a_peak_below_the_level_on_either_side_of_zero():
    assert is_silent(np.zeros(10, np.float32), -60.0)
    assert is_silent(np.array([0.0, 0.00099], np.float32), -60.0)
    assert not is_silent(np.array([0.0, 0.00101], np.float32), -60.0)
    assert not is_silent(np.array([0.0, -0.00101], np.float32), -60.0)


def test_a_sound_gets_the_root_mean_square_and_keeps_its_shape():
    scaled = normalize_level(tone(0.5), -20.0, -60.0)
    assert rms(scaled) == pytest.approx(0.1)
    np.testing.assert_allclose(scaled, tone(0.1 * 2**0.5), atol=1e-6)


def test_a_peak_never_exceeds_full_scale():
    click = np.zeros(1_600, np.float32)
    click[3] = -0.25
    assert normalize_level(click, -20.0, -60.0).min() == -1.0


@given(st.floats(-50.0, 0.0), st.integers(0, 5))
def test_the_level_of_a_sound_does_not_matter(change, seed):
    wave = np.random.default_rng(seed).normal(size=800).clip(-4, 4).astype(np.float32) / 4
    quieter = wave * np.float32(amplitude(change))
    expected = normalize_level(wave, -26.0, -60.0)
    np.testing.assert_allclose(normalize_level(quieter, -26.0, -60.0), expected, atol=1e-6)


def test_a_sound_that_was_brought_to_the_level_stays():
    once = normalize_level(tone(0.9), -26.0, -60.0)
    np.testing.assert_allclose(normalize_level(once, -26.0, -60.0), once, atol=1e-7)


def test_silence_stays_as_it_is():
    faint = tone(0.0009)
    assert normalize_level(faint, -26.0, -60.0) is faint
