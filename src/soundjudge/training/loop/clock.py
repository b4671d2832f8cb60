"""When the states of a training are due: by the clock, alike in all processes."""

import time

from accelerate.utils import broadcast_object_list


class StateClock:
    """When a state is due, by the clock of the main process; all processes must ask alike.

    They agree after few steps only: half of the steps that the remaining time allows, then half of
    what remains, and so on.
    """

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        # Times since the start of the main process's: each process's own clock began elsewhere.
        self.start, self.last_step, self.last_epoch = time.monotonic(), 0.0, 0.0
        self.steps, self.next = 0, 1

    def asks(self) -> bool:
        """Counts a step; whether the processes look at the clock after it."""
        self.steps += 1
        return self.steps >= self.next

    def step_due(self) -> bool:
        """Whether a state is due after this step."""
        ((now, rate),) = broadcast_object_list([self._now()])
        due: bool = now - self.last_step >= self.seconds
        self.last_step = now if due else self.last_step
        remaining = self.last_step + self.seconds - now
        self.next = self.steps + max(1, int(remaining * rate / 2))
        return due

    def epoch_due(self) -> bool:
        """Whether a state is due after this end of an epoch."""
        ((now, _),) = broadcast_object_list([self._now()])
        due: bool = now - self.last_epoch >= self.seconds
        self.last_epoch = now if due else self.last_epoch
        return due

    def _now(self) -> tuple[float, float]:
        """The time, and the steps per second so far."""
        now = time.monotonic() - self.start
        return now, self.steps / max(now, 1e-6)
