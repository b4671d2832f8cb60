"""Waveforms to the log-mel spectrograms that BEATs reads.

Letters: B = batch, T = samples at 16 kHz, F = frames of 10 ms, W = samples of a frame.
"""

from functools import cache

import torch
from torch import Tensor
from torchaudio.compliance import kaldi

BEATS_SAMPLE_RATE = 16_000
MEL_BINS = 128
FRAME = 400  # samples, 25 ms
SHIFT = 160  # samples, 10 ms
FFT = 512
PREEMPHASIS = 0.97
# Statistics of AudioSet as in Microsoft's BEATs; twice the deviation is theirs, too.
MEAN = 15.41663
DEVIATION = 6.55582


def num_frames(samples: int) -> int:
    """The number of whole 25 ms frames, 10 ms apart, in `samples`."""
    return 0 if samples < FRAME else 1 + (samples - FRAME) // SHIFT


def log_mel_fbank(waves: Tensor) -> Tensor:
    """Kaldi's log-mel filter bank of (B, T) in [-1, 1], normalized as BEATs expects: (B, F, 128).

    Equal to `torchaudio.compliance.kaldi.fbank` without dither, for a batch of rows that do not
    depend on each other, on the device of the waves, always in float32.
    """
    assert waves.ndim == 2 and num_frames(waves.shape[1]), (
        f"fbank needs waves (B, T) of at least {FRAME} samples each, got {tuple(waves.shape)}"
    )
    with torch.autocast(waves.device.type, enabled=False):
        frames = (waves.float() * 2**15).unfold(1, FRAME, SHIFT)  # (B, F, W)
        frames = frames - frames.mean(dim=2, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        frames = (frames - PREEMPHASIS * previous) * _window(waves.device)
        power = torch.fft.rfft(frames, n=FFT).abs().square()  # (B, F, 257)
        energies = power @ _mel_bank(waves.device)  # (B, F, 128)
        logs = energies.clamp(min=torch.finfo(torch.float32).eps).log()
        spectrogram: Tensor = (logs - MEAN) / (2 * DEVIATION)
    return spectrogram


@cache  # on a GPU a copy of it in every call would wait
def _window(device: torch.device) -> Tensor:
    """Kaldi's "povey" window (W,)."""
    return torch.hann_window(FRAME, periodic=False, device="cpu").pow(0.85).to(device)


@cache
def _mel_bank(device: torch.device) -> Tensor:
    """Triangular filters from 20 Hz to 8 kHz, one per column: (257, 128); the last bin has none."""
    bank, _ = kaldi.get_mel_banks(MEL_BINS, FFT, BEATS_SAMPLE_RATE, 20.0, 0.0, 100.0, -500.0, 1.0)
    return torch.nn.functional.pad(bank, (0, 1)).T.contiguous().to(device)
