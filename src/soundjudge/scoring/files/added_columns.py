"""The columns that scoring adds to a table of pairs: the score, and details where asked for.

Numbers have 4 decimals: a judge's scores are stable to about 1e-4 between machines of one kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.judge.pair_score import PairScore, SoundScorer, Window

DECIMALS = 4
TEXT_COLUMNS = ("windows", "flags")  # the others hold numbers


class Scorer(SoundScorer, Protocol):
    """The part of a judge that a table needs."""

    @property
    def members(self) -> Mapping[str, object]:
        """Those that have a weight, by name."""

    @property
    def intervals(self) -> Intervals | None:
        """Of its scores, where they were learned."""


@dataclass(frozen=True, kw_only=True)
class Details:
    """Which details are added."""

    members: bool = False
    "member_<name>: each member's score on the same scale"
    spread: bool = False
    interval: bool = False
    "interval_low, interval_high"
    windows: bool = False
    "such as 0-8:5.1000 8-12:2.3000, in seconds"
    flags: bool = False
    "names with blanks between them"

    def columns(self, scorer: Scorer) -> list[str]:
        """The names of the added columns. Raises SoundjudgeError for intervals that it lacks."""
        if self.interval and scorer.intervals is None:
            raise SoundjudgeError(
                "this judge has no intervals: they are learned where one is packaged from ratings"
            )
        return [
            PREDICTION,
            *([f"member_{name}" for name in scorer.members] if self.members else []),
            *(["spread"] if self.spread else []),
            *(["interval_low", "interval_high"] if self.interval else []),
            *(["windows"] if self.windows else []),
            *(["flags"] if self.flags else []),
        ]

    def cells(self, pair: PairScore) -> list[str]:
        """The cells of a pair, in the order of `columns`."""
        numbers = [pair.value]
        numbers += pair.members.values() if self.members else ()
        numbers += (pair.spread,) if self.spread else ()
        if self.interval:
            assert pair.interval is not None, "a judge without intervals is refused before"
            numbers += pair.interval
        cells = [number_text(number) for number in numbers]
        cells += [windows_text(pair.windows)] if self.windows else []
        return [*cells, " ".join(pair.flags)] if self.flags else cells


def number_text(number: float) -> str:
    """A score as it is written everywhere."""
    return f"{number:.{DECIMALS}f}"


def windows_text(windows: Sequence[Window]) -> str:
    """Seconds and score of each window."""
    return " ".join(f"{w.start:g}-{w.end:g}:{number_text(w.value)}" for w in windows)
