"""Waveforms to the features that the language model is given: the one way, everywhere.

Letters: B = batch, C = clips of a chunk, T = samples at 16 kHz, F = log-mel frames,
M = audio tokens, D = encoder width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge import artifacts
from soundjudge.data import chunks
from soundjudge.data.chunks import Chunk
from soundjudge.data.shards import Clips
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


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Section `encode` of params.yaml: how the features of all clips are made and kept."""

    front: AudioFront
    batch_size: int  # clips at a time
    dtype: Literal["float16", "float32"]  # float16 halves the disk they take
    engine: chunks.Engine  # this process, or actors on a Ray cluster
    workers: int | None  # actors

    def __post_init__(self) -> None:
        """Refuses an empty batch, and workers without an engine that has them."""
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}, it must be at least 1.")
        chunks.check(self.engine, self.workers)

    def chunk_size(self, width: int) -> int:
        """Clips of a chunk, for an encoder of this width D."""
        return chunks.size(self.front.audio_tokens * width * np.dtype(self.dtype).itemsize)


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


def encode_clips(
    beats: Beats, clips: Clips, clip_ids: Sequence[str], encoding: Encoding
) -> Iterator[NDArray[Any]]:
    """The features of some clips in their order, in blocks (<= batch_size, M, D)."""
    for start in range(0, len(clip_ids), encoding.batch_size):
        batch = clip_ids[start : start + encoding.batch_size]
        features = encode_waves(beats, [clips.wave(clip_id) for clip_id in batch], encoding.front)
        block = features.cpu().numpy().astype(encoding.dtype)
        for clip_id, row in zip(batch, block, strict=True):
            if not np.isfinite(row).all():
                raise ValueError(f"the features of clip {clip_id} are not finite numbers.")
        yield block


def write_chunk(chunk: Chunk, beats: Beats, clips: Clips, encoding: Encoding) -> None:
    """Writes the features of a chunk's clips: an array file (C, M, D), or none."""
    encoded = np.concatenate(list(encode_clips(beats, clips, chunk.items, encoding)))
    with artifacts.atomic_file(chunk.path) as temporary:
        np.save(temporary, encoded)
