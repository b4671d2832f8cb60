"""A long computation is a bar on a terminal, and a line a minute in a log."""

import io
import sys

import pytest

from soundjudge.runtime import progress


class Terminal(io.StringIO):
    """A standard error that someone looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """The seconds that have passed, to be moved by the test."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_log_has_a_line_a_minute_with_the_rate_and_the_time_left(clock):
    lines, described = [], []
    report = progress.ProgressReport("steps", lines.append)
    for done in range(100, 170):
        clock[0] += 2.0
        report.update(done, 1000, lambda done=done: described.append(done) or f"loss {done}")
    report.close()
    # Half a step a second: 60 seconds after the first call are 30 steps later.
    assert lines == [
        "129 of 1000 steps, loss 129, 0.5 steps a second, 0:29:02 left",
        "159 of 1000 steps, loss 159, 0.5 steps a second, 0:28:02 left",
    ]
    assert described == [129, 159]


def test_a_terminal_has_a_bar_and_the_log_stays_for_lines(clock, monkeypatch):
    terminal, lines = Terminal(), []
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    report = progress.ProgressReport("steps", lines.append)
    for done in (1, 2, 3):
        clock[0] += 1.0
        report.update(done, 5, lambda: "loss 0.5")
        report.bar.refresh()
    report.close()
    assert sys.stderr is terminal
    assert lines == []
    assert "3/5" in terminal.getvalue()
    assert "loss 0.5, 1 steps a second, 0:00:02 left" in terminal.getvalue()


def test_the_first_unit_has_no_rate_and_what_a_run_before_has_done_is_in_none(clock):
    lines = []
    report = progress.ProgressReport("steps", lines.append)
    for done in (901, 902, 903):
        clock[0] += 100.0
        report.update(done, 1000, lambda: "loss 0.5")
    report.close()
    assert lines == [
        "901 of 1000 steps, loss 0.5",
        "902 of 1000 steps, loss 0.5, 0.01 steps a second, 2:43:20 left",
        "903 of 1000 steps, loss 0.5, 0.01 steps a second, 2:41:40 left",
    ]


def test_what_was_done_before_the_first_call_counts_into_no_rate(clock):
    lines = []
    report = progress.ProgressReport("items", lines.append)
    clock[0] = 90.0
    report.update(1024, 2048, lambda: "clips")  # of a resumed run, or after a slow first chunk
    clock[0] = 154.0
    report.update(1536, 2048, lambda: "clips")
    report.close()
    assert lines == [
        "1024 of 2048 items, clips",
        "1536 of 2048 items, clips, 8 items a second, 0:01:04 left",
    ]
