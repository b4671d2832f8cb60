"""Which sounds are kept: what a sound must be, and the judgment of one.

T = samples of a clip at 16 kHz.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio
from soundjudge.data.corpora import clip_writer
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import AudioError
from soundjudge.data.corpora.corpus import Sound


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Where the corpora are, and what a sound and a caption must be to be kept."""

    xacle: Path
    audiocaps: Path
    vggsound: Path
    min_seconds: float
    "shorter sounds are rejected"
    max_seconds: float
    "of longer sounds, only the first so many seconds are kept"
    silence_dbfs: float
    "a sound whose peak lies below this is rejected as silent"
    max_characters: int
    "longer captions are rejected"
    max_rejected_fraction: float
    "largest share of a corpus's sounds that may be bad; a missing one is bad in xacle alone"
    max_missing_fraction: float
    "largest share of the sounds of audiocaps or vggsound that may be missing"
    shard_samples: int
    "samples in one shard at most"

    def __post_init__(self) -> None:
        for name in ("max_rejected_fraction", "max_missing_fraction"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie within 0 and 1")
        if not 0 < self.min_seconds <= self.max_seconds:
            raise ValueError("min_seconds must be above 0 and at most max_seconds")
        if self.silence_dbfs >= 0:
            raise ValueError("silence_dbfs must be below 0, full scale")
        if self.max_characters < 1:
            raise ValueError("max_characters must be at least 1")
        if self.shard_samples < self.max_seconds * SAMPLE_RATE:
            raise ValueError("shard_samples must hold a clip of max_seconds at 16 kHz")


@dataclass(frozen=True, kw_only=True)
class SoundCheck:
    """A sound that was read: its samples (T,) int16, or why there are none."""

    sound: Sound
    pcm: NDArray[np.int16] | None = None
    cut: bool = False
    reason: str = ""


def check_sound(sound: Sound, preparation: Preparation) -> SoundCheck:
    """Reads one sound, no more of it than is kept, and judges whether it can be used."""
    if sound.path is None:
        return SoundCheck(sound=sound, reason="missing")
    try:
        # One second more than is kept, so that the cut does not change the last samples kept.
        wave = audio.read_audio(sound.path, preparation.max_seconds + 1.0)  # (T,)
    except AudioError as error:
        return SoundCheck(sound=sound, reason=f"{error.reason}: {error.detail}")
    if len(wave) < preparation.min_seconds * SAMPLE_RATE:
        return SoundCheck(sound=sound, reason=f"too short: {len(wave) / SAMPLE_RATE:.3f} s")
    kept = wave[: int(preparation.max_seconds * SAMPLE_RATE)]
    if max(kept.max(), -kept.min()) < 10.0 ** (preparation.silence_dbfs / 20.0):
        return SoundCheck(sound=sound, reason="silent")
    return SoundCheck(sound=sound, pcm=clip_writer.to_pcm(kept), cut=len(wave) > len(kept))
