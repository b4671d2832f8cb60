"""Threads read ahead, in order, once per item; what fails fails in its turn."""

import os
import threading
from collections import Counter
from contextlib import closing

import pytest

from soundjudge.scoring.judge.reading import read_ahead


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor has one thread")
def test_results_come_in_order_whatever_takes_longer():
    gate = threading.Event()

    def read(item: int) -> int:
        if item == 0:
            gate.wait(5)
        elif item == 2:
            gate.set()  # begun before the first ended: on one thread this would hang
        return item * 10

    with closing(read_ahead([0, 1, 2, 3], read, 3)) as futures:
        assert [future.result() for future in futures] == [0, 10, 20, 30]


def test_equal_items_that_are_near_are_read_once_and_far_ones_again():
    reads: Counter[str] = Counter()

    def read(item: str) -> str:
        reads[item] += 1
        return item

    items = [*"abab", *"cdefgh", "a"]
    with closing(read_ahead(items, read, 2)) as futures:
        assert "".join(future.result() for future in futures) == "ababcdefgha"
    assert reads["a"] == 2 and reads["b"] == 1


def test_a_failure_is_raised_in_its_turn_and_others_stand():
    def read(item: int) -> float:
        return 1 / item

    results = []
    for future in read_ahead([1, 0, 2], read, 3):
        try:
            results.append(future.result())
        except ZeroDivisionError:
            results.append(None)
    assert results == [1.0, None, 0.5]


def test_closing_early_begins_nothing_more():
    started = []
    futures = read_ahead(list(range(1000)), started.append, 4)
    next(futures).result()
    futures.close()
    assert len(started) <= 5
    assert list(read_ahead([], started.append, 4)) == []
