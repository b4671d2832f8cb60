"""Waveforms to the features that the language model is given: the one way, everywhere.

Letters: B = batch, T = samples at 16 kHz, F = log-mel frames, M = audio tokens, D = encoder width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.model import fbank
from soundjudge.model.beats import Beats
from soundjudge.model.projector import pool


@dataclass(frozen=True, kw_only=True)
class AudioFront:
    """How long a sound the model hears, and in how many tokens: the same in every training."""

    audio_tokens: int  # M
    window_seconds: float  # a longer sound is cut, a shorter one gets silence at its end

    def __post_init__(self) -> None:
        """Refuses a window without a single patch, or none at all."""
        if self.audio_tokens < 1:
            raise ValueError(f"audio_tokens is {self.audio_tokens}, it must be at least 1.")
        if fbank.frames(self.samples) < 16:
            raise ValueError(f"window_seconds is {self.window_seconds}, it must be at least 0.175.")

    @property
    def samples(self) -> int:
        """T of a whole window."""
        return round(self.window_seconds * fbank.SAMPLE_RATE)


def windows(waves: Sequence[NDArray[np.float32]], front: AudioFront) -> Tensor:
    """Each wave (any T) with zeros at its end or cut: (B, T) of one window."""
    batch = torch.zeros(len(waves), front.samples)
    for row, wave in zip(batch, waves, strict=True):
        part = torch.from_numpy(np.array(wave[: front.samples], np.float32))
        row[: len(part)] = part
    return batch


@torch.no_grad()
def encode_waves(
    beats: Beats,
    waves: Sequence[NDArray[np.float32]],
    front: AudioFront,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The frozen encoder's features of waves (any T) at 16 kHz: (B, M, D), on its device.

    `augment` gets the log-mel picture (B, F, 128) and gives one of the same shape.
    """
    device = next(beats.parameters()).device
    picture = fbank.fbank(windows(waves, front).to(device))  # (B, F, 128)
    if augment is not None:
        picture = augment(picture)
    return pool(beats(picture), front.audio_tokens)
