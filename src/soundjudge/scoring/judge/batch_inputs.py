"""A batch of sounds with their lengths and rates, as metrics and rewards get it.

B sounds, C channels, T samples.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from soundjudge.errors import SoundjudgeError


def sounds_of_batch(
    audio: Tensor | Sequence[Tensor],
    sizes: Tensor | Sequence[int] | None,
    sample_rates: Tensor | Sequence[float] | float,
) -> list[tuple[Tensor, float]]:
    """Samples (T,) or (T, C) with their rates in Hz, of a batch or of a list of (T,) or (C, T).

    A batch is (B, T) or (B, C, T). `sizes`: samples of each sound that are no padding. Raises
    SoundjudgeError.
    """
    if isinstance(audio, Tensor) and audio.ndim not in (2, 3):
        raise SoundjudgeError(f"audio is {tuple(audio.shape)}: give (B, T) or (B, C, T)")
    sounds = [torch.as_tensor(sound).detach() for sound in audio]
    rates: list[Any] = [sample_rates]
    if isinstance(sample_rates, Sequence) or (
        isinstance(sample_rates, Tensor) and sample_rates.ndim
    ):
        rates = list(sample_rates)
    rates = rates * len(sounds) if len(rates) == 1 else rates
    lengths = [sound.shape[-1] if sound.ndim else 0 for sound in sounds]
    if sizes is not None:
        lengths = torch.as_tensor(sizes).reshape(-1).tolist()
        if not all(isinstance(length, int) for length in lengths):  # such as shares of the longest
            raise SoundjudgeError(f"sizes are {lengths[:3]}: give numbers of samples, integers")
    for name, values in (("sizes", lengths), ("sample_rates", rates)):
        if len(values) != len(sounds):
            raise SoundjudgeError(f"there are {len(sounds)} sounds and {len(values)} {name}")
    for position, (sound, length) in enumerate(zip(sounds, lengths, strict=True)):
        if not 0 < length <= sound.shape[-1]:
            raise SoundjudgeError(
                f"sizes[{position}] is {length}: sound {position} has {sound.shape[-1]} samples"
            )
    cut = [sound[..., :length] for sound, length in zip(sounds, lengths, strict=True)]
    columns = [sound.T if sound.ndim == 2 else sound for sound in cut]
    return list(zip(columns, rates, strict=True))
