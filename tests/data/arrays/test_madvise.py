"""Rows that are announced to the system before they are read are complete and unchanged."""

import mmap

import numpy as np
import pytest

from soundjudge.data.arrays import array_store

ROWS, WIDTH = 7, 10_001  # 40,004 bytes a row: no row but the first begins where a page does
INDICES = np.array([6, 0, 3, 3, 5])


def write_store(folder, monkeypatch):
    monkeypatch.setattr(array_store, "SHARD_BYTES", 3 * 4 * WIDTH)  # three rows a shard
    block = np.random.default_rng(0).standard_normal((ROWS, WIDTH), np.float32)
    array_store.write_rows(folder, list("abcdefg"), [block])
    return block


def test_rows_come_whole_from_every_shard(tmp_path, monkeypatch):
    block = write_store(tmp_path, monkeypatch)
    np.testing.assert_array_equal(array_store.ArrayStore(tmp_path).take(INDICES), block[INDICES])


class AdvisedMap(mmap.mmap):
    """A mapped file that records the ranges of madvise."""

    def madvise(self, option, start, length):
        assert option == mmap.MADV_WILLNEED
        self.ranges.append((start, start + length))
        return super().madvise(option, start, length)


needs_advice = pytest.mark.skipif(
    not hasattr(mmap, "MADV_WILLNEED"), reason="this system takes no advice"
)


def take_with_advice(folder, rows):
    """Rows of the first shard, the offset of its numbers, and the ranges of madvise."""
    with array_store.shard_path(folder, 0).open("rb") as file:
        mapped = AdvisedMap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped.ranges = []
    offset = len(mapped) - 3 * 4 * WIDTH  # of the numbers in the array file
    shard = np.ndarray.__new__(np.memmap, (3, WIDTH), np.float32, mapped, offset)
    shard.offset = offset
    store = array_store.ArrayStore(folder)
    store._shards[0] = np.asarray(shard)
    return store.take(np.array(rows)), offset, sorted(mapped.ranges)


@needs_advice
def test_the_system_is_told_of_whole_rows_and_of_little_more(tmp_path, monkeypatch):
    block = write_store(tmp_path, monkeypatch)
    rows, offset, ranges = take_with_advice(tmp_path, [2, 0])
    np.testing.assert_array_equal(rows, block[[2, 0]])
    begins = [offset + 4 * WIDTH * row for row in (0, 2)]
    for (start, end), begin in zip(ranges, begins, strict=True):
        assert begin - mmap.PAGESIZE < start <= begin
        assert start % mmap.PAGESIZE == 0
        assert end == begin + 4 * WIDTH


@needs_advice
def test_small_rows_are_read_without_a_word(tmp_path, monkeypatch):
    block = write_store(tmp_path, monkeypatch)
    monkeypatch.setattr(array_store, "MADVISE_ROW_BYTES", 4 * WIDTH + 1)
    rows, _, ranges = take_with_advice(tmp_path, [2, 0])
    np.testing.assert_array_equal(rows, block[[2, 0]])
    assert ranges == []
