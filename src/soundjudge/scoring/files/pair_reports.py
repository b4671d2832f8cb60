"""A scored pair as columns of a table, as lines for people and as JSON.

Numbers have 4 decimals: a judge's scores are stable to about 1e-4 between machines of one kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.judge.events import EventScores
from soundjudge.scoring.judge.pair_score import PairScore, SoundScorer, Window

if TYPE_CHECKING:
    from soundjudge.scoring.judge.judge import Judge

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
    "interval_lo, interval_hi"
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
            *(["interval_lo", "interval_hi"] if self.interval else []),
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


def pair_lines(pair: PairScore, details: Details, intervals: Intervals | None) -> list[str]:
    """The score on a line, and a line per detail."""
    lines = [number_text(pair.value)]
    if details.members:
        lines += [f"member {name} {number_text(value)}" for name, value in pair.members.items()]
    if details.spread:
        lines.append(f"spread {number_text(pair.spread)}")
    if details.interval and pair.interval and intervals:
        low, high = map(number_text, pair.interval)
        lines.append(f"interval {low} {high} ({intervals.coverage:.0%})")
    if details.windows:
        lines += [f"window {w.start:g}-{w.end:g} s {number_text(w.value)}" for w in pair.windows]
    return lines


def pair_json(pair: PairScore) -> dict[str, object]:
    """All that is known of a pair; numbers with 4 decimals."""
    return {
        "score": _round(pair.value),
        "members": {name: _round(value) for name, value in pair.members.items()},
        "spread": _round(pair.spread),
        "interval": None if pair.interval is None else [_round(end) for end in pair.interval],
        "windows": [
            {"start": w.start, "end": w.end, "score": _round(w.value)} for w in pair.windows
        ],
        "flags": list(pair.flags),
    }


def event_lines(scored: EventScores) -> list[str]:
    """A line per event, the lowest one, and the order that fits better."""
    each = zip(scored.events, scored.scores, strict=True)
    lines = [f"event {number_text(score)} {event}" for event, score in each]
    lines.append(f"lowest {scored.lowest}")
    if scored.orders is not None:
        named, other = scored.orders
        fits = "as in the text" if named > other else "not as in the text"
        lines.append(f"order {fits}: {number_text(named)}, else {number_text(other)}")
    return lines


def events_json(scored: EventScores) -> dict[str, object]:
    """The same as JSON."""
    each = zip(scored.events, scored.scores, strict=True)
    return {
        "events": [{"text": event, "score": _round(score)} for event, score in each],
        "lowest": scored.lowest,
        "orders": None if scored.orders is None else [_round(s) for s in scored.orders],
    }


def judge_json(judge: "Judge") -> dict[str, object]:
    """What must stand beside scores."""
    return {
        "score_id": judge.score_id,
        "precision": judge.precision,
        "note": judge.note,
        "interval_coverage": judge.intervals.coverage if judge.intervals else None,
    }


def _round(number: float) -> float:
    return round(number, DECIMALS)
