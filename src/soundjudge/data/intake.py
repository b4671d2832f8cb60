"""Listed sounds -> checked 16-bit clips in shards, with a reason for every one that is left out.

T = samples of a clip at 16 kHz.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data import audio, shards
from soundjudge.data.audio import SAMPLE_RATE, AudioError
from soundjudge.data.corpus import Rejection, Sound
from soundjudge.data.shards import Clip

AHEAD = 8  # sounds read ahead, per worker
LOG_EVERY = 5_000  # sounds


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Where the corpora are, and what a sound must be to be kept."""

    xacle: Path
    audiocaps: Path
    vggsound: Path
    min_seconds: float
    "shorter sounds are rejected"
    max_seconds: float
    "of longer sounds, only the first so many seconds are kept"
    silence_dbfs: float
    "a sound whose peak lies below this is rejected as silent"
    max_rejected: float
    "largest share of a corpus's sounds that may be bad; a missing one is bad in xacle alone"
    max_missing: float
    "largest share of the sounds of audiocaps or vggsound that may be missing"
    shard_samples: int
    "samples in one shard at most"

    def __post_init__(self) -> None:
        for name in ("max_rejected", "max_missing"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie within 0 and 1")
        if not 0 < self.min_seconds <= self.max_seconds:
            raise ValueError("min_seconds must be above 0 and at most max_seconds")
        if self.silence_dbfs >= 0:
            raise ValueError("silence_dbfs must be below 0, full scale")
        if self.shard_samples < self.max_seconds * SAMPLE_RATE:
            raise ValueError("shard_samples must hold a clip of max_seconds at 16 kHz")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A sound that was read: its samples (T,) int16, or why there are none."""

    sound: Sound
    pcm: NDArray[np.int16] | None = None
    cut: bool = False
    reason: str = ""


@dataclass(kw_only=True)
class Intake:
    """What became of the sounds."""

    clips: pd.DataFrame
    rejections: list[Rejection] = field(default_factory=list)
    cut: Counter[str] = field(default_factory=Counter)
    "number of clips cut at max_seconds, by corpus"


def write(
    sounds: Iterable[Sound],
    folder: Path,
    preparation: Preparation,
    workers: int,
    log: Callable[[str], None],
) -> Intake:
    """Reads all sounds, in order of their clip id, and writes the good ones to folder/shards/.

    The result does not depend on the number of workers, and memory not on the number of sounds.
    """
    intake = Intake(clips=pd.DataFrame())
    ordered = sorted(sounds, key=lambda sound: sound.clip_id)

    def clips() -> Iterator[Clip]:
        done = in_order(lambda sound: checked(sound, preparation), ordered, workers)
        for number, result in enumerate(done, start=1):
            sound = result.sound
            if result.pcm is None:
                rejection = Rejection(corpus=sound.corpus, file=sound.file, reason=result.reason)
                intake.rejections.append(rejection)
            else:
                intake.cut[sound.corpus] += result.cut
                yield Clip(
                    clip_id=sound.clip_id, corpus=sound.corpus, split=sound.split, pcm=result.pcm
                )
            if number % LOG_EVERY == 0 or number == len(ordered):
                log(f"read {number} of {len(ordered)} sounds, {len(intake.rejections)} rejected")

    intake.clips = shards.write_clips(folder, clips(), preparation.shard_samples)
    return intake


def checked(sound: Sound, preparation: Preparation) -> Checked:
    """Reads one sound and judges whether it can be used."""
    if sound.path is None:
        return Checked(sound=sound, reason="missing")
    try:
        # One second more than is kept, so that the cut does not change the last samples kept.
        wave = audio.read(sound.path, preparation.max_seconds + 1.0)  # (T,)
    except AudioError as error:
        return Checked(sound=sound, reason=f"{error.reason}: {error.detail}")
    if len(wave) < preparation.min_seconds * SAMPLE_RATE:
        return Checked(sound=sound, reason=f"too short: {len(wave) / SAMPLE_RATE:.3f} s")
    longest = int(preparation.max_seconds * SAMPLE_RATE)
    pcm = shards.to_pcm(wave[:longest])
    if np.abs(wave[:longest]).max() < 10.0 ** (preparation.silence_dbfs / 20.0):
        return Checked(sound=sound, reason="silent")
    return Checked(sound=sound, pcm=pcm, cut=len(wave) > longest)


def in_order(
    read: Callable[[Sound], Checked], sounds: Sequence[Sound], workers: int
) -> Iterator[Checked]:
    """`read` of every sound, in order, by threads (decoding happens outside Python's lock)."""
    waiting: deque[Future[Checked]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for sound in sounds:
                waiting.append(pool.submit(read, sound))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
