"""How far a long computation is: a bar on a terminal, a line a minute in a log."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

BAR_SECONDS, LOG_SECONDS = 1.0, 60.0  # between two updates


def log_line(line: str) -> None:
    """A log: one line on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class ProgressReport:
    """Shows how many of its units are done, their rate and the time left, on standard error."""

    def __init__(self, unit: str, log: Callable[[str], None]) -> None:
        self.unit, self.log = unit, log
        self.bar = _start_bar() if sys.stderr.isatty() else None
        self.start: tuple[float, int] | None = None  # the time and the units done at the first call
        self.last = time.monotonic()

    def update(self, done: int, total: int, describe: Callable[[], str]) -> None:
        """Called after each unit; `describe` is called only when something is shown."""
        now = time.monotonic()
        if self.start is None:
            self.start = now, done
        if now - self.last < (LOG_SECONDS if self.bar is None else BAR_SECONDS):
            return
        self.last = now
        start, first = self.start
        text = describe()
        if done > first and now > start:  # a first call says nothing of how fast it goes
            rate = (done - first) / (now - start)
            left = timedelta(seconds=round((total - done) / rate))
            text += f", {rate:.3g} {self.unit} a second, {left} left"
        if self.bar is None:
            self.log(f"{done} of {total} {self.unit}, {text}")
        else:
            self.bar.update(self.bar.task_ids[0], completed=done, total=total, description=text)

    def close(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.stop()


def _start_bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task("", total=None)
    bar.start()  # it also moves the lines of the log above itself
    return bar
