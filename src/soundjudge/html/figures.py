"""Numbers to positions in a picture: axes with round ticks, intervals, histograms.

The pictures are SVG in the templates, so that style sheets color them, on screen and on paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from soundjudge.reporting.resampling import Estimate

BINS = 20  # of a histogram


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A range of values, and round ticks in it."""

    low: float
    high: float
    ticks: list[float]

    def percent(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 100."""
        share = 100 * (value - self.low) / (self.high - self.low)
        return round(min(max(share, 0.0), 100.0), 2)

    def label(self, tick: float) -> str:
        """A tick in as few digits as tell it from its neighbors."""
        step = self.ticks[1] - self.ticks[0]
        return f"{tick:.{max(0, -int(np.floor(np.log10(step) + 1e-9)))}f}"


def interval_axis(estimates: Sequence[Estimate], *, zero: bool = False) -> Axis:
    """An axis that holds all intervals, and 0 where that means something."""
    values = [end for e in estimates for end in (e.lo, e.hi, e.value)] + ([0.0] if zero else [])
    return _axis(min(values), max(values))


def value_axis(values: NDArray[np.float64]) -> Axis:
    """An axis that holds all values."""
    return _axis(float(values.min()), float(values.max()))


def score_axis(values: NDArray[np.float64]) -> Axis:
    """The scale of scores, 0 to 10, or what other scores need."""
    low, high = float(values.min()), float(values.max())
    return _axis(0.0, 10.0) if low >= 0 and high <= 10 else value_axis(values)


def clip_segment(
    scores: tuple[float, float], ratings: tuple[float, float], across: Axis, upward: Axis
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The part of a straight line that two axes hold, as scores and ratings of its ends.

    None for a line outside. To clip both ends by themselves would turn the line.
    """
    first, last = 0.0, 1.0  # shares of the line
    for (start, stop), axis in ((scores, across), (ratings, upward)):
        if start == stop:
            if not axis.low <= start <= axis.high:
                return None
            continue
        enters, leaves = sorted((edge - start) / (stop - start) for edge in (axis.low, axis.high))
        first, last = max(first, enters), min(last, leaves)
    if first > last:
        return None
    x, y = ((s + first * (e - s), s + last * (e - s)) for s, e in (scores, ratings))
    return x, y


def histogram(values: NDArray[np.float64], axis: Axis) -> list[int]:
    """How many of values (N,) lie in each of BINS equal parts of an axis that holds them all."""
    counts = np.histogram(values, bins=BINS, range=(axis.low, axis.high))[0]
    return [int(count) for count in counts]


def _axis(low: float, high: float) -> Axis:
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    ticks = [float(t) for t in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)]
    return Axis(low=ticks[0], high=ticks[-1], ticks=ticks)
