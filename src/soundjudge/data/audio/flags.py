"""What a listener would want to know of a sound that is scored all the same.

The policies: channels are averaged even where they cancel, what is above full scale is cut off at
1, silence and very short sounds are sounds, and a file of which less than a tenth is missing is
read as far as it goes. None of these changes a sample or raises an error; each sets a flag.
"""

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio.level import is_silent

SILENCE_DBFS = -60.0  # of the peak; as prepare.silence_dbfs
SHORT_SECONDS = 0.1  # as prepare.min_seconds
CLIPPED_SHARE = 1e-3  # lossy formats overshoot at a few peaks; more is another scale
# Power of the mean of channels / what it would be if they were independent. 0.1 is -10 dB: two
# channels whose correlation is below -0.9.
ANTIPHASE = 0.1
USUAL_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000,
               88_200, 96_000, 176_400, 192_000)  # fmt: skip


def _flag(meaning: str) -> bool:
    flag: bool = field(metadata={"meaning": meaning})
    return flag


@dataclass(frozen=True, kw_only=True)
class SoundFlags:
    """True where something about a sound deserves a word."""

    silent: bool = _flag("its peak is below -60 dBFS")
    short: bool = _flag("it is shorter than 0.1 s")
    clipped: bool = _flag(
        "more than one sample in 1,000 was above full scale, and was cut off there"
    )
    near_antiphase: bool = _flag(
        "its channels cancel: their mean has 10 dB less power than that of independent channels"
    )
    incomplete: bool = _flag("its file lacks up to a tenth of what its headers state")
    unusual_rate: bool = _flag(
        "its rate is none of the usual ones, so that its header may be damaged"
    )

    def names(self) -> list[str]:
        """The names of the flags that are set."""
        return [name for name, value in vars(self).items() if value]

    def sentences(self) -> list[str]:
        """The flags that are set, with their meaning."""
        return [
            f"{flag.name.replace('_', ' ')}: {flag.metadata['meaning']}"
            for flag in fields(self)
            if getattr(self, flag.name)
        ]


@dataclass(kw_only=True)
class Power:
    """Sums of squares over the samples of a sound, block by block."""

    channels: int = 1
    of_channels: float = 0.0
    "sum over all channels"
    of_mean: float = 0.0

    def add(self, samples: NDArray[np.float32], mean: NDArray[np.float32]) -> None:
        """Adds a block (n, C) and its mean over channels (n,)."""
        self.channels = max(self.channels, samples.shape[1])
        if samples.shape[1] > 1:
            self.of_channels += float(np.vdot(samples, samples))
            self.of_mean += float(np.vdot(mean, mean))

    @property
    def near_antiphase(self) -> bool:
        """Whether the channels cancel in their mean; silence does not."""
        independent = self.of_channels / self.channels**2
        return independent > 0.0 and self.of_mean < ANTIPHASE * independent


def flags(
    wave: NDArray[np.float32], rate: int, power: Power, *, sample_rate: int, incomplete: bool
) -> SoundFlags:
    """The flags of a waveform (T,) at `sample_rate`, not cut off yet, that was at `rate` before."""
    level = np.abs(wave)
    return SoundFlags(
        silent=is_silent(wave, SILENCE_DBFS),
        short=len(wave) < SHORT_SECONDS * sample_rate,
        clipped=bool(np.count_nonzero(level > 1.0) > CLIPPED_SHARE * len(wave)),
        near_antiphase=power.near_antiphase,
        incomplete=incomplete,
        unusual_rate=rate not in USUAL_RATES,
    )
