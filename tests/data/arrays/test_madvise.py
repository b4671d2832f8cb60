"""Rows that the system is told of before they are read are the same rows, and it is told of all."""

import mmap

import numpy as np
import pytest

from soundjudge.data.arrays import array_store

ROWS, WIDTH = 7, 10_001  # 40,004 bytes a row: no row but the first begins where a page does
PLACES = np.array([6, 0, 3, 3, 5])


def written(folder, monkeypatch):
    monkeypatch.setattr(array_store, "SHARD_BYTES", 3 * 4 * WIDTH)  # three rows a shard
    block = np.random.default_rng(0).standard_normal((ROWS, WIDTH), np.float32)
    array_store.write_rows(folder, list("abcdefg"), [block])
    return block


def test_rows_come_whole_from_every_shard(tmp_path, monkeypatch):
    block = written(tmp_path, monkeypatch)
    np.testing.assert_array_equal(array_store.ArrayStore(tmp_path).take(PLACES), block[PLACES])


class Told(mmap.mmap):
    """A mapped file that notes what it is told."""

    def madvise(self, option, start, length):
        assert option == mmap.MADV_WILLNEED
        self.ranges.append((start, start + length))
        return super().madvise(option, start, length)


needs_advice = pytest.mark.skipif(
    not hasattr(mmap, "MADV_WILLNEED"), reason="this system takes no advice"
)


def told_of(folder, places):
    """Rows at `places` of the first shard, where its numbers begin, and what was told."""
    with array_store.shard_path(folder, 0).open("rb") as file:
        told = Told(file.fileno(), 0, access=mmap.ACCESS_READ)
    told.ranges = []
    head = len(told) - 3 * 4 * WIDTH  # of the array file, before its numbers
    shard = np.ndarray.__new__(np.memmap, (3, WIDTH), np.float32, told, head)
    shard.offset = head
    kept = array_store.ArrayStore(folder)
    kept._shards[0] = np.asarray(shard)
    return kept.take(np.array(places)), head, sorted(told.ranges)


@needs_advice
def test_the_system_is_told_of_whole_rows_and_of_little_more(tmp_path, monkeypatch):
    block = written(tmp_path, monkeypatch)
    taken, head, ranges = told_of(tmp_path, [2, 0])
    np.testing.assert_array_equal(taken, block[[2, 0]])
    begins = [head + 4 * WIDTH * row for row in (0, 2)]
    for (start, end), begin in zip(ranges, begins, strict=True):
        assert begin - mmap.PAGESIZE < start <= begin
        assert start % mmap.PAGESIZE == 0
        assert end == begin + 4 * WIDTH


@needs_advice
def test_small_rows_are_read_without_a_word(tmp_path, monkeypatch):
    block = written(tmp_path, monkeypatch)
    monkeypatch.setattr(array_store, "ANNOUNCED", 4 * WIDTH + 1)
    taken, _, ranges = told_of(tmp_path, [2, 0])
    np.testing.assert_array_equal(taken, block[[2, 0]])
    assert ranges == []
