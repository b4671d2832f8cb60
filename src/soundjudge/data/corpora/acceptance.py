"""Which sounds are kept: section `prepare`, and the check of one sound.

T = samples of a clip at 16 kHz.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio, level
from soundjudge.data.corpora import clip_writer
from soundjudge.data.corpora.corpus import Sound
from soundjudge.data.tables.tables import RATED_CORPUS, SAMPLE_RATE
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.ranges import LARGEST_BATCH, LARGEST_COUNT, check_range


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Section `prepare`: the corpora, and which of their sounds and captions are kept."""

    xacle: Path  # folder of rated pairs
    audiocaps: Path
    "folder of captioned clips; with a README.md alone, such as data/none, there are none"
    vggsound: Path  # as audiocaps
    min_seconds: float = 0.1  # shorter sounds are rejected
    max_seconds: float = 30.0  # longer sounds are cut to this length
    silence_dbfs: float = -60.0
    "a sound whose peak lies below this level is silent: rejected if captioned, kept if rated"
    level_dbfs: float | None = None
    "root mean square of every sound that is not silent, as far as its peak allows; null = as it is"
    num_silent: int = 0
    "silent clips that are made for pseudolabel.num_silent: zeros, then noise below silence_dbfs"
    max_characters: int = 1000
    "longer captions are rejected; these are about the 256 tokens that the language model reads"
    max_rejected_fraction: float = 0.05
    "largest share of a corpus's sounds that may be bad; a missing one is bad in xacle alone"
    max_missing_fraction: float = 0.9
    "largest share of the listed sounds of audiocaps or vggsound that may be missing: many are"
    shard_samples: int = 2**26  # samples per shard at most, and in memory: 70 minutes, 134 MB

    def __post_init__(self) -> None:
        check_range(self, "max_rejected_fraction", "max_missing_fraction", least=0, most=1)
        check_range(self, "silence_dbfs", least=-200, below=0, unit=", full scale")
        check_range(self, "num_silent", least=0, most=LARGEST_COUNT)
        check_range(self, "max_characters", least=1, most=LARGEST_BATCH)
        if not 0 < self.min_seconds <= self.max_seconds:
            raise SoundjudgeError("min_seconds must be above 0 and at most max_seconds")
        if self.level_dbfs is not None and not self.silence_dbfs < self.level_dbfs < 0:
            raise SoundjudgeError("level_dbfs must lie between silence_dbfs and 0, full scale")
        if self.shard_samples < self.max_seconds * SAMPLE_RATE:
            raise SoundjudgeError("shard_samples must hold a clip of max_seconds at 16 kHz")


@dataclass(frozen=True, kw_only=True)
class SoundCheck:
    """A sound and its samples (T,) int16, or the reason of its rejection."""

    sound: Sound
    pcm: NDArray[np.int16] | None = None
    cut: bool = False
    silent: bool = False
    reason: str = ""


def check_sound(sound: Sound, config: Preparation) -> SoundCheck:
    """Reads one sound, no more of it than is kept, and checks whether it can be used."""
    if sound.path is None:
        return SoundCheck(sound=sound, reason=sound.reason)
    try:
        # One more second, so that resampling at the cut does not change the last samples kept.
        wave = audio.read_audio(sound.path, config.max_seconds + 1.0)  # (T,)
    except AudioError as error:
        return SoundCheck(sound=sound, reason=f"{error.reason}: {error.detail}")
    if len(wave) < config.min_seconds * SAMPLE_RATE:
        return SoundCheck(sound=sound, reason=f"too short: {len(wave) / SAMPLE_RATE:.3f} s")
    kept = wave[: int(config.max_seconds * SAMPLE_RATE)]
    silent = level.is_silent(kept, config.silence_dbfs)
    if silent and sound.corpus != RATED_CORPUS:  # listeners rate silence, nobody captions it
        return SoundCheck(sound=sound, reason="silent")
    if config.level_dbfs is not None:
        kept = level.normalize_level(kept, config.level_dbfs, config.silence_dbfs)
    pcm, cut = clip_writer.to_pcm(kept), len(wave) > len(kept)
    return SoundCheck(sound=sound, pcm=pcm, cut=cut, silent=silent)
