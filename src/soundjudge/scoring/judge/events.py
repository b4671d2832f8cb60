"""A text's events, each scored with the sound, and whether the named order fits best.

What this can tell is measured on the sample alone (`benchmarks/events.py`): of several events the
one with the lowest score is mostly the missing one; whether one is missing at all, it hardly says.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from soundjudge.data.audio.audio import Sound
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.pair_score import SoundScorer

# English words that join events, in sequence or at the same time; "and" joins things, too.
SEQUENCE = r",? and then |,? then |,? followed by |,? before "
MEANWHILE = r",? and at the same time |,? while |(?<!such) as "
JOINT = re.compile(rf"({SEQUENCE}|{MEANWHILE})", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class EventScores:
    """Scores, 0 to 10, of the events of a text with one sound."""

    events: tuple[str, ...]
    scores: tuple[float, ...]
    "of each event alone"
    orders: tuple[float, float] | None
    "of the text, and with its first event last; None unless all events are in sequence"

    @property
    def lowest(self) -> str:
        """The event with the lowest score."""
        return self.events[self.scores.index(min(self.scores))]


def split_events(text: str) -> tuple[list[str], list[str]]:
    """The events of a text, and the words between them.

    Raises SoundjudgeError for fewer than two events.
    """
    parts = JOINT.split(text.strip().rstrip("."))
    events, joints = [part.strip(" ,") for part in parts[::2]], parts[1::2]
    if len(events) < 2 or not all(events):
        raise SoundjudgeError(
            f"{text!r} cannot be split into events: they are told apart by then, followed by, "
            "before, while, as"
        )
    return events, joints


def score_events(judge: SoundScorer, sound: Sound, text: str) -> EventScores:
    """Each event of the text by itself, and, in a sequence, two orders of them."""
    events, joints = split_events(text)
    texts = [_capital(event) for event in events]  # as captions begin, which members have read
    is_sequence = all(re.fullmatch(SEQUENCE, joint, re.IGNORECASE) for joint in joints)
    if is_sequence:
        texts += [_join_events(events, joints), _join_events([*events[1:], events[0]], joints)]
    pairs = judge.score_sounds([sound] * len(texts), texts, len(texts))
    scores = [pair.value for pair in pairs]
    return EventScores(
        events=tuple(events),
        scores=tuple(scores[: len(events)]),
        orders=(scores[-2], scores[-1]) if is_sequence else None,
    )


def _join_events(events: Sequence[str], joints: Sequence[str]) -> str:
    words = [_capital(events[0])]
    for joint, event in zip(joints, events[1:], strict=True):
        words += [joint, event[0].lower() + event[1:]]
    return "".join(words)


def _capital(event: str) -> str:
    return event[0].upper() + event[1:]
