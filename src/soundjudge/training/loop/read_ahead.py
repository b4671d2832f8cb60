"""Reads the inputs of the next steps in a thread while the device computes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

STEPS = 2  # that are read ahead

A = TypeVar("A")
B = TypeVar("B")


def read_ahead(read: Callable[[A], B], steps: Iterable[A], device: torch.device) -> Generator[B]:
    """`read` of every step, in order; what it raises is raised here, at its step.

    `device` is that of the caller, whose pinned memory the thread asks for.
    """

    def choose_device() -> None:
        # A thread begins on the first. One process alone has no number, and torch refuses that.
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)

    pending: deque[Future[B]] = deque()
    thread = ThreadPoolExecutor(1, "read_ahead", initializer=choose_device)
    try:
        for step in steps:
            pending.append(thread.submit(read, step))
            if len(pending) > STEPS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        thread.shutdown(cancel_futures=True)
