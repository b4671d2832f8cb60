"""The protocol of the language model's audio encoders, and the table of their kinds.

Letters: B = batch, T = samples at 16 kHz, N = frames, K = mel bins, F = log-mel frames, M = audio
tokens, D = encoder width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.model.audio.beats import beats
from soundjudge.model.frontend.frontend import AudioFrontend, pad_or_cut, pool_frames

Augment = Callable[[Tensor], Tensor]  # a log-mel spectrogram (B, F, K) to one of the same shape


class AudioEncoder(Protocol):
    """Waveforms to frames; frozen, in evaluation mode."""

    @property
    def width(self) -> int:
        """D."""

    def name(self) -> str:
        """Kind and size, such as "beats-12x768"."""

    def frames(self, waves: Tensor, augment: Augment | None = None) -> Tensor:
        """Frames (B, N, D) of waves (B, T) from any device, on the encoder's own.

        `augment` changes the log-mel spectrogram before it is encoded.
        """


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How checkpoints of one kind are recognized, loaded and copied."""

    recognizes: Callable[[Path], bool]
    load: Callable[[Path, torch.device], AudioEncoder]
    copy: Callable[[Path, Path], None]  # an official checkpoint to a folder of safetensors


# Asked in this order. BEATs takes every path: its reader says what is wrong with one.
KINDS = {
    "beats": Kind(recognizes=lambda _: True, load=beats.load_frozen, copy=beats.copy_to_folder)
}


def kind_of(path: Path) -> Kind:
    """The first kind that recognizes the checkpoint at `path`."""
    return next(kind for kind in KINDS.values() if kind.recognizes(path))


def load_audio_encoder(path: Path, device: torch.device) -> AudioEncoder:
    """The encoder at `path`, frozen, in evaluation mode."""
    return kind_of(path).load(path, device)


@torch.no_grad()
def encode_waves(
    encoder: AudioEncoder, waves: Sequence[NDArray[np.float32]], frontend: AudioFrontend
) -> Tensor:
    """The features (B, M, D) of B waves of any T, each padded or cut to the window."""
    frames = encoder.frames(pad_or_cut(waves, frontend))  # (B, N, D)
    return pool_frames(frames, frontend.audio_tokens)
