"""A test without the mark slow fails where it costs too much."""

from types import SimpleNamespace

import processor_time
import pytest


@pytest.fixture
def item():
    return SimpleNamespace(get_closest_marker=lambda name: None)


def end(item):
    call = processor_time.pytest_runtest_call(item)
    next(call)
    with pytest.raises(StopIteration) as ended:
        call.send("result")
    return ended.value.value


def test_a_cheap_test_ends_as_it_would(item):
    assert end(item) == "result"


def test_a_costly_test_fails_unless_it_is_marked(item, monkeypatch):
    monkeypatch.setattr(processor_time, "MOST", -1.0)
    for name in processor_time.ENDLESS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(pytest.fail.Exception, match="mark the test slow"):
        end(item)
    item.get_closest_marker = {"slow": "the mark"}.get
    assert end(item) == "result"
    item.get_closest_marker = {}.get
    monkeypatch.setenv("TORTURE", "5000")
    assert end(item) == "result"
