"""Waves to windows of one length, and an encoder's frames to audio tokens.

Apart from encoders and language model, so that an edit of one retrains nothing of the other.
Letters: B = batch, T = samples at 16 kHz, N = frames of an encoder, M = audio tokens, D = encoder
width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.ranges import check_range

MIN_SECONDS = 0.175  # one patch of BEATs: 16 frames of 25 ms, 10 ms apart
MAX_SECONDS, MAX_TOKENS = 3600.0, 100_000  # more is a slip of the pen, and fills the memory


@dataclass(frozen=True, kw_only=True)
class AudioFrontend:
    """Section `features.frontend` of params.yaml: the same in every training."""

    audio_tokens: int  # M
    window_seconds: float  # a longer sound is cut, a shorter one gets silence at its end

    def __post_init__(self) -> None:
        check_range(self, "audio_tokens", least=1, most=MAX_TOKENS)
        check_range(self, "window_seconds", least=MIN_SECONDS, most=MAX_SECONDS)

    @property
    def samples(self) -> int:
        """T of a window."""
        return round(self.window_seconds * SAMPLE_RATE)


def pad_or_cut(waves: Sequence[NDArray[np.float32]], frontend: AudioFrontend) -> Tensor:
    """Waves of any T as windows (B, T), each padded with zeros at its end or cut."""
    batch = torch.zeros(len(waves), frontend.samples)
    for row, wave in zip(batch, waves, strict=True):
        samples = torch.from_numpy(np.array(wave[: frontend.samples], np.float32))
        row[: len(samples)] = samples
    return batch


def pool_frames(frames: Tensor, audio_tokens: int) -> Tensor:
    """Means over M segments of nearly equal length: (B, N, D) to (B, M, D)."""
    return functional.adaptive_avg_pool1d(frames.transpose(1, 2), audio_tokens).transpose(1, 2)
