"""SpecAugment: masks a band of frequencies and a span of time of training spectrograms.

Letters: B = sounds, F = frames of 10 ms, K = mel bins.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from soundjudge.ranges import LARGEST_COUNT, check_range
from soundjudge.runtime.devices import copy_to


@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """Key `specaugment` of a member in params.yaml; widths are uniform from 0 to below these."""

    freq_mask: int  # mel bins
    time_mask: int  # frames of 10 ms
    per: Literal["sound", "batch"]  # what gets a pair of masks of its own

    def __post_init__(self) -> None:
        check_range(self, "freq_mask", least=1, most=128)  # of all mel bins
        check_range(self, "time_mask", least=1, most=LARGEST_COUNT)


def apply_specaugment(
    spectrograms: Tensor, config: SpecAugment, generator: torch.Generator
) -> Tensor:
    """Normalized log-mel spectrograms (B, F, K) with one mask of each kind per sound, set to 0.

    Park et al. 2019, "SpecAugment", arXiv 1904.08779, without time warping. The paper masks every
    sound by itself; the published TMU code draws one pair of masks for a whole batch.
    """
    sounds, frames, bins = spectrograms.shape
    count = sounds if config.per == "sound" else 1
    freq_mask = _sample_spans(count, bins, config.freq_mask, generator)  # (B or 1, K)
    time_mask = _sample_spans(count, frames, config.time_mask, generator)  # (B or 1, F)
    mask = time_mask[:, :, None] | freq_mask[:, None, :]  # (B or 1, F, K)
    return spectrograms.masked_fill(copy_to(mask, spectrograms.device), 0.0)


def _sample_spans(count: int, size: int, max_width: int, generator: torch.Generator) -> Tensor:
    """One random span per row, true inside: (count, size)."""
    width = (torch.rand(count, generator=generator) * min(max_width, size)).long()
    start = (torch.rand(count, generator=generator) * (size - width + 1)).long()
    positions = torch.arange(size)
    return (positions >= start[:, None]) & (positions < (start + width)[:, None])
