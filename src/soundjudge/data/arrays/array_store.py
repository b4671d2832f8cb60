"""Named arrays as memory-mapped shards: an encoder's output for very many items.

N = number of rows, B = number of rows requested, n = number of rows of a shard.
A folder of rows is keys.parquet, the row of each key, and shards/00000.npy, 00001.npy, ..., the
rows (n, ...) end to end. Keys of equal content share a row.
"""

import errno
import math
import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import Table
from soundjudge.errors import SoundjudgeError

SHARD_BYTES = 2**26  # of a shard, and of memory in use: 32,768 rows of 512 float32
MAX_OPEN_FILES = 10_240  # where the system names no limit; macOS allows no more
MADVISE_ROW_BYTES = 2**15  # smaller rows are not worth the call of madvise
KEYS = Table(name="keys", columns={"key": "str", "row": "int"}, key=("key",))


def shard_path(folder: Path, number: int) -> Path:
    """The path of a folder's shard."""
    return folder / "shards" / f"{number:05d}.npy"


def open_memmap(path: Path) -> NDArray[Any]:
    """An array file, memory-mapped and read-only; SoundjudgeError if it cannot be read."""
    try:
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError, EOFError, TokenError) as error:  # the last two: a garbled header
        if isinstance(error, OSError) and error.errno == errno.EMFILE:
            _allow_open_files(path)
            return open_memmap(path)
        message = f"{path} cannot be read: run the stage that writes it again"
        raise SoundjudgeError(message) from error


def _allow_open_files(path: Path) -> None:
    """Lets this process open as many files as the system allows: every mapped shard is one.

    Systems start with 1,024, which 64 GiB of shards use up. SoundjudgeError if no more are allowed.
    """
    import resource  # Windows lacks it, and has no such limit

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else hard
    if soft >= most:
        raise SoundjudgeError(
            f"{path} is one open file too many for this system, which allows {soft}: raise the "
            "limit (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def write_rows(
    folder: Path, keys: Sequence[str], blocks: Iterable[NDArray[Any]], rows: ArrayLike | None = None
) -> None:
    """Writes consecutive blocks (B, ...) of one shape and type as the rows of `folder`.

    `rows` is the row of each key, by default its position. Holds one shard in memory; the bytes
    depend on the rows alone, not on their division into blocks.
    """
    shard, used, buffer = 0, 0, np.empty((0, 0), np.float32)
    shard_path(folder, 0).parent.mkdir(parents=True)
    for block in blocks:
        if not buffer.size:
            row_bytes = block.dtype.itemsize * math.prod(block.shape[1:])
            size = max(1, SHARD_BYTES // max(1, row_bytes))
            buffer = np.empty((size, *block.shape[1:]), block.dtype)
        if (block.shape[1:], block.dtype) != (buffer.shape[1:], buffer.dtype):
            raise SoundjudgeError(
                f"{folder}: a block of {block.dtype} {block.shape[1:]} among rows of"
                f" {buffer.dtype} {buffer.shape[1:]}"
            )
        for part in np.split(block, range(len(buffer) - used, len(block), len(buffer))):
            buffer[used : used + len(part)] = part
            used += len(part)
            if used == len(buffer):
                np.save(shard_path(folder, shard), buffer)
                shard, used = shard + 1, 0
    if used or not shard:
        np.save(shard_path(folder, shard), buffer[:used])
        shard += 1
    write_keys(folder, keys, np.arange(len(keys)) if rows is None else rows)


def write_keys(folder: Path, keys: Sequence[str], rows: ArrayLike) -> None:
    """Names the rows of the folder's shards; every row needs a key, every key a row."""
    count = sum(len(open_memmap(path)) for path in (folder / "shards").iterdir())
    row_of_key = np.asarray(rows, dtype=np.int64)
    if not np.array_equal(np.unique(row_of_key), np.arange(count)) or len(row_of_key) != len(keys):
        raise SoundjudgeError(f"{folder}: {len(keys)} keys do not fit its {count} rows")
    frame = pd.DataFrame({"key": keys, "row": row_of_key})
    tables.write_table(frame, folder / "keys.parquet", KEYS)


class ArrayStore:
    """Named rows (N, ...), memory-mapped and read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        table = tables.read_table(folder / "keys.parquet", KEYS)
        self._rows = table["row"].to_numpy(dtype=np.int64)
        self._index = pd.Index(table["key"].to_numpy(), dtype=object)
        self.keys: list[str] = self._index.tolist()
        count = int(self._rows.max(initial=-1)) + 1
        self._shards = [open_memmap(shard_path(folder, 0))]
        while sum(map(len, self._shards)) < count:  # a missing shard is an error
            self._shards.append(open_memmap(shard_path(folder, len(self._shards))))
        lengths = np.array([len(shard) for shard in self._shards])
        if lengths.sum() != count:
            raise SoundjudgeError(f"{folder} has {lengths.sum()} rows, and its keys name {count}")
        self._ends = lengths.cumsum()
        self.shape: tuple[int, ...] = (count, *self._shards[0].shape[1:])
        self.dtype = self._shards[0].dtype

    def row_indices(self, keys: Sequence[str] | NDArray[Any]) -> NDArray[np.int64]:
        """The index of each key's row: (B,). SoundjudgeError names the first missing key."""
        positions = self._index.get_indexer(np.asarray(keys, dtype=object))
        if (positions < 0).any():
            missing = keys[int(np.argmax(positions < 0))]
            raise SoundjudgeError(
                f"{self.folder} has no row {missing!r}: run the stage that writes it again"
            )
        return np.asarray(self._rows[positions])

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """A copy of the rows of these indices: (B,) -> (B, ...)."""
        result = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        ends = np.searchsorted(rows[order], self._ends)
        start = 0
        for shard, shard_end, end in zip(self._shards, self._ends, ends, strict=True):
            if start < end:
                positions = order[start:end]  # in the result
                shard_rows = rows[positions] - (shard_end - len(shard))
                _prefetch(shard, shard_rows)
                result[positions] = shard[shard_rows]
                start = end
        return result

    def gather(self, keys: Sequence[str]) -> NDArray[Any]:
        """A copy of the rows of these keys: (B, ...)."""
        return self.take(self.row_indices(keys))

    def key(self, row: int) -> str:
        """The first key of a row."""
        return self.keys[int(np.argmax(self._rows == row))]

    def blocks(self) -> Iterable[NDArray[Any]]:
        """All rows in their order, shard by shard: (n, ...), views."""
        return iter(self._shards)

    def __getitem__(self, key: str) -> NDArray[Any]:
        row: NDArray[Any] = self.gather([key])[0]
        return row

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def __len__(self) -> int:
        return len(self.keys)


def _prefetch(shard: NDArray[Any], rows: NDArray[np.int64]) -> None:
    """Lets the system read these rows from disk together, not page by page at their first use.

    Sixteen rows of 150 KB that are not in the page cache are then read twenty times faster.
    """
    file, size = shard.base, shard.strides[0]
    if size < MADVISE_ROW_BYTES or not hasattr(mmap, "MADV_WILLNEED"):  # Windows lacks it
        return
    if not isinstance(file, np.memmap) or not isinstance(file.base, mmap.mmap):
        return
    first = file.offset % mmap.ALLOCATIONGRANULARITY
    for row in rows.tolist():
        start = first + row * size
        page = start - start % mmap.PAGESIZE
        file.base.madvise(mmap.MADV_WILLNEED, page, start + size - page)
