"""Writes clips into shards of 16-bit samples.

T = samples of a clip at 16 kHz.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.arrays.array_store import shard_path
from soundjudge.data.clips.clip_store import FULL_SCALE
from soundjudge.runtime import artifacts

ClipRow: TypeAlias = tuple[str, str, str, int, int, int, str]  # of the CLIPS table


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One sound to be written; `pcm` is (T,) int16 at 16 kHz."""

    clip_id: str
    corpus: str
    split: str
    pcm: NDArray[np.int16]


def to_pcm(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """(T,) in -1 to 1 -> (T,) int16; samples that were read from int16 come back exactly."""
    scaled = wave * np.float32(FULL_SCALE)
    np.round(scaled, out=scaled)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled).astype(np.int16)


class ClipWriter:
    """Writes clips end to end into the shards of a folder; holds one shard in memory."""

    def __init__(self, folder: Path, shard_samples: int, first: int = 0) -> None:
        self._folder = folder
        self._number = first
        self._buffer = np.empty(shard_samples, np.int16)
        self._used = 0
        self._rows: list[ClipRow] = []

    def fits(self, samples: int) -> bool:
        """Whether the shard has room for so many more samples."""
        return self._used + samples <= len(self._buffer)

    def add(self, clip: Clip) -> None:
        """Appends the clip, which must fit."""
        offset, size = self._used, len(clip.pcm)
        assert self.fits(size), f"{clip.clip_id}: {size} samples, after {offset} in its shard"
        self._used += size
        self._buffer[offset : self._used] = clip.pcm
        digest = hashlib.sha256(clip.pcm.astype("<i2").tobytes()).hexdigest()
        location = (self._number, offset, size)
        self._rows.append((clip.clip_id, clip.corpus, clip.split, *location, digest))

    def close(self) -> list[ClipRow]:
        """Writes the shard, the whole file or none, and begins the next; returns its CLIPS rows."""
        rows = self._rows
        if rows:
            with artifacts.atomic_file(shard_path(self._folder, self._number)) as temporary:
                np.save(temporary, self._buffer[: self._used])
        self._number, self._used, self._rows = self._number + 1, 0, []
        return rows
