"""Clips as memory-mapped shards of 16-bit samples.

T = samples of a clip at 16 kHz.
A folder of clips is clips.parquet and shards/00000.npy, 00001.npy, ..., with clips end to end.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.arrays.array_store import open_memmap, shard_path
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError

FULL_SCALE = 32_768  # int16


class ClipStore:
    """The clips of a prepared folder, read on demand."""

    def __init__(self, prepared: Path) -> None:
        self.folder = prepared
        self.table = tables.read_table(prepared / "clips.parquet", tables.CLIPS)
        columns = (self.table[name] for name in ("shard", "offset", "samples"))
        self._locations = dict(zip(self.table["clip_id"], zip(*columns, strict=True), strict=True))
        self._shards: dict[int, NDArray[np.int16]] = {}

    def wave(self, clip_id: str) -> NDArray[np.float32]:
        """(T,) float32 in -1 to 1 at 16 kHz."""
        if clip_id not in self._locations:
            raise SoundjudgeError(
                f"{self.folder} has no clip {clip_id!r}: see rejected.csv there for the reason"
            )
        shard, offset, samples = self._locations[clip_id]
        if shard not in self._shards:
            self._shards[shard] = open_memmap(shard_path(self.folder, shard))
        pcm = self._shards[shard][offset : offset + samples]
        if len(pcm) != samples:
            path = shard_path(self.folder, shard)
            raise SoundjudgeError(f"{path} ends before {clip_id!r}: run the prepare stage again")
        return pcm.astype(np.float32) / np.float32(FULL_SCALE)

    def ids(self) -> list[str]:
        """Clip ids in order."""
        return list(self.table["clip_id"])

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._locations

    def __len__(self) -> int:
        return len(self._locations)
