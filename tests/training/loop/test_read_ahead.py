"""Inputs are read in a thread, two steps ahead, in order, and what fails there fails here."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from soundjudge.training.loop.objective import ItemLoss
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.loop.read_ahead import read_ahead
from soundjudge.training.loop.updates import Updates

CPU = torch.device("cpu")


def test_steps_come_in_order_and_two_are_read_ahead():
    read, threads = [], set()

    def double(step):
        threads.add(threading.current_thread())
        read.append(step)
        return 2 * step

    steps = read_ahead(double, range(6), CPU)
    assert next(steps) == 0
    end = time.monotonic() + 10
    while len(read) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert read == [0, 1, 2]
    assert list(steps) == [2, 4, 6, 8, 10]
    assert threading.main_thread() not in threads and len(threads) == 1


def test_what_the_thread_meets_is_raised_at_its_step():
    def read(step):
        if step == 2:
            raise OSError("the disk is gone")
        return step

    steps = read_ahead(read, range(9), CPU)
    assert [next(steps), next(steps)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(steps)


def test_a_caller_that_stops_ends_the_thread_and_reads_no_more():
    read, begun = [], threading.Event()

    def slow(step):
        begun.set()
        time.sleep(0.05)
        read.append(step)

    steps = read_ahead(slow, range(100), CPU)
    next(steps)
    threads = threading.active_count()
    steps.close()
    assert threading.active_count() == threads - 1
    assert len(read) <= 3


def test_the_only_gpu_of_a_process_has_no_number_and_needs_none():
    # accelerate names it "cuda"; torch raises ValueError for set_device("cuda"), driver or not.
    assert list(read_ahead(abs, [-1, -2], torch.device("cuda"))) == [1, 2]


def test_one_of_several_gpus_is_set_in_the_thread_that_reads(monkeypatch):
    chosen = []
    monkeypatch.setattr(
        torch.cuda, "set_device", lambda device: chosen.append((device, threading.current_thread()))
    )
    assert list(read_ahead(abs, [-1, -2], torch.device("cuda", 1))) == [1, 2]
    ((device, thread),) = chosen
    assert device == torch.device("cuda", 1) and thread is not threading.main_thread()


@pytest.mark.parametrize(("device", "pinned"), [("cuda", 1), ("cpu", 0)])
def test_the_thread_pins_what_a_gpu_is_to_copy(monkeypatch, device, pinned):
    loss = ItemLoss(read=lambda items: (torch.zeros(2), "a text"), loss=lambda *_: None)
    optimization = Optimization(optimizer="adamw", learning_rate=0.1, epochs=1, batch_size=2)
    updates = Updates(torch.nn.Linear(1, 1), loss, optimization)
    where = {"device": torch.device(device), "process_index": 0, "num_processes": 1}
    updates.state = SimpleNamespace(**where)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    ((_, (tensor, text)),) = updates.read(np.arange(2)).passes
    assert tensor.tolist() == [pinned, pinned] and text == "a text"
