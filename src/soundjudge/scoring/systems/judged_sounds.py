"""One judge's word on sounds and texts, with all that it knows: the only place that asks it.

B pairs, T samples at 16 kHz.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from soundjudge.data.audio.audio import Sound
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.members.predict import PredictionConfig, raw_scores, split_windows


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of a sound with its own score."""

    start: float  # seconds
    end: float
    value: float  # 0 to 10


@dataclass(frozen=True, kw_only=True)
class JudgedSound:
    """A pair's score and what it is made of."""

    value: float  # 0 to 10
    members: dict[str, float]  # each member's score on its own scale near 0 to 10, not calibrated
    windows: tuple[Window, ...]  # one or more
    interval: tuple[float, float] | None  # where the judge has one
    flags: tuple[str, ...]  # names of `SoundFlags`


def judge_sounds(
    judge: Judge, sounds: Sequence[Sound], texts: Sequence[str], batch_size: int = 16
) -> list[JudgedSound]:
    """Each sound with its text: (B,). Raises SoundjudgeError."""
    waves = [sound.wave for sound in sounds]
    values = judge.score_waves(waves, texts, batch_size)
    prediction = PredictionConfig(
        window_seconds=judge.manifest.window_seconds, batch_size=batch_size
    )
    if judge.manifest.long == "cut":
        waves = [wave[: prediction.window_samples] for wave in waves]
    raw = raw_scores(list(judge.members.values()), waves, texts, prediction)  # (B, members)
    judged = []
    for number, (sound, wave, text) in enumerate(zip(sounds, waves, texts, strict=True)):
        cuts = split_windows(len(wave), prediction.window_samples)
        parts = [values[number]]
        if len(cuts) > 1:
            parts = judge.score_waves([wave[cut] for cut in cuts], [text] * len(cuts), batch_size)
        windows = tuple(
            Window(start=cut.start / SAMPLE_RATE, end=cut.stop / SAMPLE_RATE, value=value)
            for cut, value in zip(cuts, parts, strict=True)
        )
        members = dict(zip(judge.members, map(float, raw[number]), strict=True))
        judged.append(
            JudgedSound(
                value=values[number],
                members=members,
                windows=windows,
                interval=None,
                flags=tuple(sound.flags.names()),
            )
        )
    return judged
