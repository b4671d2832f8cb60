"""The log-mel spectrogram equals Kaldi's, row by row."""

import numpy as np
import pytest
import torch

from soundjudge.model.audio.beats import fbank


def waves(rows=3, samples=8_000):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(0, 0.1, (rows, samples)).astype(np.float32))


def test_each_row_equals_torchaudio_with_the_settings_of_beats():
    batch = waves()
    batch[1, 4_000:] = 0.0
    for wave, spectrogram in zip(batch, fbank.log_mel_fbank(batch), strict=True):
        energies = fbank.kaldi.fbank(
            wave[None] * 2**15,
            num_mel_bins=128,
            sample_frequency=16_000,
            frame_length=25,
            frame_shift=10,
        )
        expected = (energies - 15.41663) / (2 * 6.55582)
        torch.testing.assert_close(spectrogram, expected, atol=1e-3, rtol=0)


def test_ten_seconds_make_998_frames_of_128():
    assert fbank.log_mel_fbank(torch.zeros(1, 160_000)).shape == (1, 998, 128)
    assert fbank.num_frames(160_000) == 998


def test_the_number_of_frames_is_that_of_whole_pieces():
    assert [fbank.num_frames(samples) for samples in (0, 399, 400, 559, 560)] == [0, 0, 1, 1, 2]


def test_silence_is_the_logarithm_of_the_smallest_number():
    # log(2^-23) = -15.9424; (-15.9424 - 15.41663) / 13.11164 = -2.39170
    silence = fbank.log_mel_fbank(torch.zeros(1, 400))
    torch.testing.assert_close(silence, torch.full((1, 1, 128), -2.39170), atol=1e-4, rtol=0)


def test_a_row_does_not_depend_on_its_batch_mates():
    batch = waves()
    torch.testing.assert_close(fbank.log_mel_fbank(batch)[1:2], fbank.log_mel_fbank(batch[1:2]))


def test_lower_precision_around_it_changes_nothing():
    batch = waves(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spectrogram = fbank.log_mel_fbank(batch)
    assert spectrogram.dtype == torch.float32
    torch.testing.assert_close(spectrogram, fbank.log_mel_fbank(batch))


@pytest.mark.parametrize("shape", [(400,), (1, 399)])
def test_waves_without_a_whole_frame_are_refused(shape):
    with pytest.raises(AssertionError, match="400 samples"):
        fbank.log_mel_fbank(torch.zeros(shape))
