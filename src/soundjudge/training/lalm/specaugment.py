"""SpecAugment: a band of frequencies and a stretch of time of a training sound are silenced.

Letters: B = sounds, F = frames of 10 ms, K = mel bins.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """The widest masks; a width is drawn from 0 up to, not including, these."""

    freq_mask: int  # mel bins
    time_mask: int  # frames of 10 ms
    per: Literal["sound", "batch"]  # what gets a pair of masks of its own

    def __post_init__(self) -> None:
        for name in ("freq_mask", "time_mask"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")


def apply_specaugment(picture: Tensor, masks: SpecAugment, generator: torch.Generator) -> Tensor:
    """A normalized log-mel picture (B, F, K) with one mask of each kind a sound, filled with 0.

    Park et al. 2019, "SpecAugment", arXiv 1904.08779, without time warping. A pair of masks for
    every sound is what the paper means; the published TMU code draws one pair for a whole batch.
    """
    sounds, frames, bins = picture.shape
    drawn = sounds if masks.per == "sound" else 1
    hidden_bins = _spans(drawn, bins, masks.freq_mask, generator)  # (B or 1, K)
    hidden_frames = _spans(drawn, frames, masks.time_mask, generator)  # (B or 1, F)
    hidden = hidden_frames[:, :, None] | hidden_bins[:, None, :]  # (B or 1, F, K)
    return picture.masked_fill(hidden.to(picture.device), 0.0)


def _spans(sounds: int, size: int, widest: int, generator: torch.Generator) -> Tensor:
    """One span a sound, true inside: (B, size)."""
    width = (torch.rand(sounds, generator=generator) * min(widest, size)).long()
    start = (torch.rand(sounds, generator=generator) * (size - width + 1)).long()
    place = torch.arange(size)
    return (place >= start[:, None]) & (place < (start + width)[:, None])
