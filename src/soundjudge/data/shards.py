"""Clips as memory-mapped shards of 16-bit samples, and vectors as memory-mapped rows.

T = samples of a clip at 16 kHz, N = number of rows, B = number of rows asked for.
A folder of clips is clips.parquet and shards/00000.npy, 00001.npy, ..., each many clips end to end;
a folder of rows is rows.npy (N, ...) and keys.parquet, the name of each row.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from soundjudge.data import tables

FULL_SCALE = 32_768  # int16
KEYS = tables.Table(name="keys", columns={"key": "str"}, key=("key",))


class ShardError(ValueError):
    """A clip or row that is not there, or a shard that does not fit its table."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One sound on its way into a shard; `pcm` is (T,) int16 at 16 kHz."""

    clip_id: str
    corpus: str
    split: str
    pcm: NDArray[np.int16]


def to_pcm(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """(T,) in -1 to 1 -> (T,) int16; what was int16 once comes back exactly."""
    scaled = np.round(wave * np.float32(FULL_SCALE))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def write_clips(folder: Path, clips: Iterable[Clip], shard_samples: int) -> pd.DataFrame:
    """Writes folder/shards/ with at most `shard_samples` each; returns the CLIPS table.

    Holds one shard in memory. The bytes depend on the clips and their order alone.
    """
    (folder / "shards").mkdir(parents=True)
    buffer = np.empty(shard_samples, np.int16)
    used, shard, rows = 0, 0, []
    for clip in clips:
        size = len(clip.pcm)
        assert size <= shard_samples, f"{clip.clip_id}: {size} samples in a {shard_samples} shard"
        if used + size > shard_samples:
            np.save(_shard_path(folder, shard), buffer[:used])
            used, shard = 0, shard + 1
        buffer[used : used + size] = clip.pcm
        digest = hashlib.sha256(clip.pcm.astype("<i2").tobytes()).hexdigest()
        rows.append((clip.clip_id, clip.corpus, clip.split, shard, used, size, digest))
        used += size
    if used:
        np.save(_shard_path(folder, shard), buffer[:used])
    return pd.DataFrame(rows, columns=list(tables.CLIPS.columns))


def _shard_path(folder: Path, shard: int) -> Path:
    return folder / "shards" / f"{shard:05d}.npy"


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
            self._shards[shard] = _mapped(_shard_path(self.folder, shard))
        pcm = self._shards[shard][offset : offset + samples]
        if len(pcm) != samples:
            path = _shard_path(self.folder, shard)
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


class RowWriter:
    """Writes N named rows of one shape, block by block, straight to disk.

    `with RowWriter(folder, (M, D), np.float32, N) as writer: writer.write(keys, block)`
    """

    def __init__(self, folder: Path, shape: Sequence[int], dtype: DTypeLike, rows: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.keys: list[str] = []
        self._rows: NDArray[Any] = np.lib.format.open_memmap(
            folder / "rows.npy", mode="w+", dtype=np.dtype(dtype), shape=(rows, *shape)
        )

    def write(self, keys: Sequence[str], block: NDArray[Any]) -> None:
        """Appends rows (B, ...) with their B keys."""
        start, end = len(self.keys), len(self.keys) + len(keys)
        if len(keys) != len(block) or block.shape[1:] != self._rows.shape[1:]:
            raise ShardError(
                f"{self.folder}: {len(keys)} keys for a block of shape {block.shape},"
                f" rows are {self._rows.shape[1:]}"
            )
        if end > len(self._rows):
            raise ShardError(f"{self.folder}: row {end} of {len(self._rows)}")
        self._rows[start:end] = block
        self.keys.extend(keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            return
        if len(self.keys) != len(self._rows):
            raise ShardError(f"{self.folder}: {len(self.keys)} of {len(self._rows)} rows written")
        if isinstance(self._rows, np.memmap):
            self._rows.flush()
        tables.write(pd.DataFrame({"key": self.keys}), self.folder / "keys.parquet", KEYS)


def write_rows(folder: Path, keys: Sequence[str], blocks: Iterable[NDArray[Any]]) -> None:
    """Writes consecutive blocks (B, ...) as rows with these keys; the first one tells the shape."""
    done = 0
    iterator: Iterator[NDArray[Any]] = iter(blocks)
    first = next(iterator, np.empty((0, 0), np.float32))
    with RowWriter(folder, first.shape[1:], first.dtype, len(keys)) as writer:
        while len(first):
            writer.write(keys[done : done + len(first)], first)
            done += len(first)
            first = next(iterator, first[:0])


class Rows:
    """Named rows (N, ...), memory-mapped and read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys: list[str] = list(tables.read(folder / "keys.parquet", KEYS)["key"])
        self.rows: NDArray[Any] = _mapped(folder / "rows.npy")
        if len(self.keys) != len(self.rows):
            raise ShardError(f"{folder} has {len(self.rows)} rows and {len(self.keys)} keys")
        self._index = {key: row for row, key in enumerate(self.keys)}

    def index(self, key: str) -> int:
        """The row of a key."""
        if key not in self._index:
            raise ShardError(
                f"{self.folder} has no row {key!r}: run the stage that writes it again"
            )
        return self._index[key]

    def __getitem__(self, key: str) -> NDArray[Any]:
        return np.asarray(self.rows[self.index(key)])

    def gather(self, keys: Sequence[str]) -> NDArray[Any]:
        """The rows of these keys, copied: (B, ...)."""
        return np.asarray(self.rows[[self.index(key) for key in keys]])

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def __len__(self) -> int:
        return len(self.keys)


def _mapped(path: Path) -> NDArray[Any]:
    try:
        mapped: NDArray[Any] = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ShardError(f"{path} cannot be read: run the stage that writes it again") from error
    return mapped
