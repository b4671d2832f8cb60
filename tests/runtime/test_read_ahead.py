"""Threads read ahead, in order, near items once; what fails fails in its turn."""

import threading
import time
from collections import Counter
from contextlib import closing
from functools import partial

import torch

from soundjudge.runtime.devices import choose_device
from soundjudge.runtime.read_ahead import read_ahead


def test_results_come_in_order_whatever_takes_longer():
    gate = threading.Event()

    def read(item: int) -> int:
        if item == 0:
            gate.wait(5)
        elif item == 2:
            gate.set()  # begun before the first ended: on one thread this would hang
        return item * 10

    with closing(read_ahead(read, [0, 1, 2, 3], 3, threads=2)) as futures:
        assert [future.result() for future in futures] == [0, 10, 20, 30]


def test_as_many_items_as_asked_for_are_begun_before_their_turn():
    read, threads = [], set()

    def double(step):
        threads.add(threading.current_thread())
        read.append(step)
        return 2 * step

    steps = read_ahead(double, range(6), 2)
    assert next(steps).result() == 0
    end = time.monotonic() + 10
    while len(read) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert read == [0, 1, 2]
    assert [step.result() for step in steps] == [2, 4, 6, 8, 10]
    assert threading.main_thread() not in threads and len(threads) == 1


def test_equal_items_that_are_near_are_read_once_and_far_ones_again():
    reads: Counter[str] = Counter()

    def read(item: str) -> str:
        reads[item] += 1
        return item

    items = [*"abab", *"cdefgh", "a"]
    with closing(read_ahead(read, items, 2, threads=2, remember=4)) as futures:
        assert "".join(future.result() for future in futures) == "ababcdefgha"
    assert reads["a"] == 2 and reads["b"] == 1
    assert len(list(read_ahead(read, "bb", 2))) == 2 and reads["b"] == 3


def test_a_failure_is_raised_in_its_turn_and_others_stand():
    def read(item: int) -> float:
        return 1 / item

    results = []
    for future in read_ahead(read, [1, 0, 2], 3, threads=2):
        try:
            results.append(future.result())
        except ZeroDivisionError:
            results.append(None)
    assert results == [1.0, None, 0.5]


def test_a_caller_that_stops_ends_the_threads_and_reads_no_more():
    read = []

    def slow(step):
        time.sleep(0.05)
        read.append(step)

    steps = read_ahead(slow, range(100), 2)
    next(steps).result()
    threads = threading.active_count()
    steps.close()
    assert threading.active_count() == threads - 1
    assert len(read) <= 3
    assert list(read_ahead(slow, [], 4)) == []


def test_the_gpu_is_set_in_the_thread_that_reads_if_it_has_a_number(monkeypatch):
    chosen = []
    monkeypatch.setattr(
        torch.cuda, "set_device", lambda device: chosen.append((device, threading.current_thread()))
    )
    # accelerate names a process's only one "cuda"; torch raises ValueError for set_device("cuda").
    for name in ("cpu", "cuda", "cuda:1"):
        futures = read_ahead(
            abs, [-1, -2], 2, initializer=partial(choose_device, torch.device(name))
        )
        assert [future.result() for future in futures] == [1, 2]
    ((device, thread),) = chosen
    assert device == torch.device("cuda", 1) and thread is not threading.main_thread()
