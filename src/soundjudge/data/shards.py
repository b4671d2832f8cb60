"""Clips as memory-mapped shards of 16-bit samples.

T = samples of a clip at 16 kHz.
A folder of clips is clips.parquet and shards/00000.npy, 00001.npy, ..., each many clips end to end.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge import artifacts
from soundjudge.data import tables
from soundjudge.data.rows import Rows as Rows
from soundjudge.data.rows import ShardError as ShardError
from soundjudge.data.rows import mapped, shard_path
from soundjudge.data.rows import write_rows as write_rows

FULL_SCALE = 32_768  # int16

Row: TypeAlias = tuple[str, str, str, int, int, int, str]  # of the CLIPS table


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One sound on its way into a shard; `pcm` is (T,) int16 at 16 kHz."""

    clip_id: str
    corpus: str
    split: str
    pcm: NDArray[np.int16]


def to_pcm(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """(T,) in -1 to 1 -> (T,) int16; what was int16 once comes back exactly."""
    scaled = wave * np.float32(FULL_SCALE)
    np.round(scaled, out=scaled)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled).astype(np.int16)


def write_clips(folder: Path, clips: Iterable[Clip], shard_samples: int) -> pd.DataFrame:
    """Writes folder/shards/ with at most `shard_samples` each; returns the CLIPS table.

    The bytes depend on the clips and their order alone.
    """
    (folder / "shards").mkdir(parents=True)
    writer = ClipWriter(folder, shard_samples)
    rows = []
    for clip in clips:
        if not writer.fits(len(clip.pcm)):
            rows += writer.close()
        writer.add(clip)
    rows += writer.close()
    return pd.DataFrame(rows, columns=list(tables.CLIPS.columns))


class ClipWriter:
    """Puts clips end to end into the shards of a folder, one after another; holds one in memory."""

    def __init__(self, folder: Path, shard_samples: int, first: int = 0) -> None:
        self._folder = folder
        self._number = first
        self._buffer = np.empty(shard_samples, np.int16)
        self._used = 0
        self._rows: list[Row] = []

    def fits(self, samples: int) -> bool:
        """Whether the shard has room for so many samples more."""
        return self._used + samples <= len(self._buffer)

    def add(self, clip: Clip) -> None:
        """Puts the clip behind the others; it must fit."""
        offset, size = self._used, len(clip.pcm)
        assert self.fits(size), f"{clip.clip_id}: {size} samples, after {offset} in its shard"
        self._used += size
        self._buffer[offset : self._used] = clip.pcm
        digest = hashlib.sha256(clip.pcm.astype("<i2").tobytes()).hexdigest()
        place = (self._number, offset, size)
        self._rows.append((clip.clip_id, clip.corpus, clip.split, *place, digest))

    def close(self) -> list[Row]:
        """Writes the shard, the whole file or none, and begins the next; returns its CLIPS rows."""
        rows = self._rows
        if rows:
            with artifacts.atomic_file(shard_path(self._folder, self._number)) as temporary:
                np.save(temporary, self._buffer[: self._used])
        self._number, self._used, self._rows = self._number + 1, 0, []
        return rows


class Clips:
    """The clips of a prepared folder, read when asked for."""

    def __init__(self, prepared: Path) -> None:
        self.folder = prepared
        self.table = tables.read(prepared / "clips.parquet", tables.CLIPS)
        places = zip(*(self.table[name] for name in ("shard", "offset", "samples")), strict=True)
        self._places = dict(zip(self.table["clip_id"], places, strict=True))
        self._shards: dict[int, NDArray[np.int16]] = {}

    def wave(self, clip_id: str) -> NDArray[np.float32]:
        """(T,) float32 in -1 to 1 at 16 kHz."""
        if clip_id not in self._places:
            raise ShardError(
                f"{self.folder} has no clip {clip_id!r}: see rejected.csv there for the reason"
            )
        shard, offset, samples = self._places[clip_id]
        if shard not in self._shards:
            self._shards[shard] = mapped(shard_path(self.folder, shard))
        pcm = self._shards[shard][offset : offset + samples]
        if len(pcm) != samples:
            path = shard_path(self.folder, shard)
            raise ShardError(f"{path} ends before {clip_id!r}: run the prepare stage again")
        return pcm.astype(np.float32) / np.float32(FULL_SCALE)

    def ids(self, corpus: str | None = None, split: str | None = None) -> list[str]:
        """Clip ids in order, of one corpus or one split if asked."""
        kept = self.table
        if corpus is not None:
            kept = kept[kept["corpus"] == corpus]
        if split is not None:
            kept = kept[kept["split"] == split]
        return list(kept["clip_id"])

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._places

    def __len__(self) -> int:
        return len(self._places)
