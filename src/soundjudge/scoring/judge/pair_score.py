"""All that a judge can tell of a pair beside its score, and ranks of several."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio.audio import Sound
from soundjudge.data.audio.flags import SoundFlags
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.scoring.ensemble import intervals
from soundjudge.scoring.ensemble.ensemble import Ensemble, apply_ensemble
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.members.pair_scorer import WindowScores

CUT_SOUND, CUT_TEXT = "cut_sound", "cut_text"
FLAG_MEANINGS = {flag.name: str(flag.metadata["meaning"]) for flag in fields(SoundFlags)} | {
    CUT_SOUND: "it is longer than what the judge scores of it: what is behind does not count",
    CUT_TEXT: "the text is longer than a member reads: what is behind its limit does not count",
}
"""Names of flags, and what each means."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of a sound, scored by itself."""

    start: float
    end: float
    "seconds"
    value: float
    "0 to 10"


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """A pair's score, 0 (no match) to 10 (exact match), and what it stands on."""

    value: float
    members: dict[str, float]
    "each member's score on the same scale, 0 to 10"
    spread: float
    "rating points: weighted standard deviation of the members' scores; 0 where they agree"
    windows: tuple[Window, ...]
    "one after another; `value` is not their mean, but is scored from members' means over them"
    interval: tuple[float, float] | None
    "within which the listeners' mean rating lies in `Judge.intervals.coverage` of pairs, 0 to 10"
    flags: tuple[str, ...]
    "keys of FLAG_MEANINGS: what a listener would want to know of the sound, and of the text"

    def flag_sentences(self) -> list[str]:
        """The flags with their meaning."""
        return [f"{flag.replace('_', ' ')}: {FLAG_MEANINGS[flag]}" for flag in self.flags]


class SoundScorer(Protocol):
    """The part of a judge that scores sounds that are read already."""

    def score_sounds(
        self, sounds: Sequence[Sound], texts: Sequence[str], batch_size: int
    ) -> list[PairScore]:
        """A score per pair, with details."""


def pair_scores(
    ensemble: Ensemble,
    fitted: Intervals | None,
    raw: WindowScores,
    silent: NDArray[np.bool_],
    sounds: Sequence[Sound],
    cut_texts: Sequence[bool],
    first_seconds: float | None,
) -> list[PairScore]:
    """Of every pair: `raw` has a column per member of `ensemble`; B sounds, B texts.

    `silent` (B,): sounds that get the ensemble's `silent_score`.
    `first_seconds`: how much is scored of a longer sound, None for all of it.
    """
    member_scores = raw.of_pairs()  # (B, K)
    values = apply_ensemble(ensemble, member_scores, silent)  # (B,)
    of_windows = apply_ensemble(ensemble, raw.scores, silent[raw.pairs])  # (W,)
    spread = intervals.members_spread(ensemble, member_scores)
    ratings = np.clip(intervals.member_ratings(ensemble, member_scores), 0.0, 10.0)
    bounds = None if fitted is None else np.stack(fitted.bounds(values, spread), axis=1)
    windows: list[list[Window]] = [[] for _ in sounds]
    for pair, cut, value in zip(raw.pairs, raw.cuts, of_windows, strict=True):
        start, end = cut.start / SAMPLE_RATE, cut.stop / SAMPLE_RATE
        windows[pair].append(Window(start=start, end=end, value=float(value)))
    weighted = [k for k, weight in enumerate(ensemble.weights) if weight > 0]
    return [
        PairScore(
            value=float(values[pair]),
            members={ensemble.members[k]: float(ratings[pair, k]) for k in weighted},
            spread=float(spread[pair]),
            windows=tuple(windows[pair]),
            interval=None if bounds is None else (float(bounds[pair, 0]), float(bounds[pair, 1])),
            flags=_flags(sound, cut_texts[pair], first_seconds),
        )
        for pair, sound in enumerate(sounds)
    ]


def _flags(sound: Sound, cut_text: bool, first_seconds: float | None) -> tuple[str, ...]:
    flags = sound.flags.names()
    if first_seconds is not None and len(sound.wave) > round(first_seconds * SAMPLE_RATE):
        flags.append(CUT_SOUND)
    return (*flags, CUT_TEXT) if cut_text else tuple(flags)


def rank_scores(scores: Sequence[float], difference: float) -> list[int]:
    """The rank of each score: 1 + the number of scores that are higher by more than `difference`.

    Scores of one rank are not told apart, neither from one another nor from any of a better rank
    that is not higher by more than that.
    """
    return [1 + sum(other - score > difference for other in scores) for score in scores]
