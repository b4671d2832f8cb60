"""A test that costs much is marked slow: `make test-fast` leaves it out.

Counted in seconds of the processor, so that a busy machine fails nothing.
"""

import os
import time
from collections.abc import Generator

import pytest

MOST = 20.0  # the costliest takes 1; the first test of a process imports for up to 10
ENDLESS = {"TORTURE", "SOUND_MUTATIONS"}  # settings of `make torture`


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    begin = processor_seconds()
    result = yield
    spent = processor_seconds() - begin
    if spent > MOST and not item.get_closest_marker("slow") and ENDLESS.isdisjoint(os.environ):
        pytest.fail(f"{spent:.0f} s of the processor: mark the test slow, or make it smaller")
    return result
