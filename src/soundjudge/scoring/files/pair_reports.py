"""A scored pair, and a run over a table, as lines for people and as JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.files.added_columns import DECIMALS, Details, number_text
from soundjudge.scoring.judge.events import EventScores
from soundjudge.scoring.judge.pair_score import PairScore

if TYPE_CHECKING:
    from soundjudge.scoring.judge.judge import Judge


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
        "score": _rounded(pair.value),
        "members": {name: _rounded(value) for name, value in pair.members.items()},
        "spread": _rounded(pair.spread),
        "interval": None if pair.interval is None else [_rounded(end) for end in pair.interval],
        "windows": [asdict(w) | {"value": _rounded(w.value)} for w in pair.windows],
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
        "events": [{"text": event, "score": _rounded(score)} for event, score in each],
        "lowest": scored.lowest,
        "orders": None if scored.orders is None else [_rounded(s) for s in scored.orders],
    }


def judge_json(judge: "Judge") -> dict[str, object]:
    """What must stand beside scores."""
    intervals = judge.intervals
    coverage = None if intervals is None else intervals.coverage
    return {
        "score_id": judge.score_id,
        "precision": judge.precision,
        "note": judge.note,
        "interval_coverage": coverage,
    }


def _rounded(number: float) -> float:
    return round(number, DECIMALS)
