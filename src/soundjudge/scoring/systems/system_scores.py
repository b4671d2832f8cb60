"""A judge's scores of every system's sounds. N prompts, K systems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.scoring.systems import system_files
from soundjudge.scoring.systems.system_files import Prompts, System

OnMissing = Literal["fail", "skip"]
Progress = Callable[[int, int], None]


class Scorer(Protocol):
    """The part of a judge that a report needs."""

    def score_waves(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str], batch_size: int
    ) -> list[float]:
        """A score per pair, 0 to 10; waves (T,) are mono at 16 kHz."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A prompt that no system is compared on, for one of them has no sound that can be scored."""

    id: str
    text: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SystemScores:
    """The prompts that all systems have, with all scores."""

    ids: list[str]  # (N,)
    texts: list[str]  # (N,)
    names: list[str]  # (K,)
    values: NDArray[np.float64]  # (N, K)
    sounds: list[list[Path]]  # (N, K); with scores from tables, the files may be elsewhere
    flags: list[list[list[str]]]  # (N, K) names of `SoundFlags`
    left_out: list[LeftOut]
    ignored: dict[str, int]  # system -> its sounds of no prompt


def score_systems(
    scorer: Scorer | None,
    systems: Sequence[System],
    prompts: Prompts,
    *,
    on_missing: OnMissing,
    batch_size: int,
    progress: Progress,
) -> SystemScores:
    """All sounds scored, or with `scorer` None the tables' own scores.

    A sound that is missing or cannot be read ends it (`fail`), or its prompt is left out for all
    systems (`skip`). Calls `progress(sounds done, sounds in all)`. Raises SoundjudgeError.
    """
    if on_missing == "fail":
        system_files.check_complete(systems, prompts)
    left_out = {
        prompt: f"{system.name} has no sound"
        for system in reversed(systems)
        for prompt in prompts.ids
        if prompt not in system.sounds
    }
    texts = dict(zip(prompts.ids, prompts.texts, strict=True))
    asked = [prompt for prompt in prompts.ids if prompt not in left_out]
    columns: list[dict[str, tuple[float, list[str]]]] = []
    for number, system in enumerate(systems):
        if scorer is None:
            assert system.scores is not None, "without a judge, tables must hold the scores"
            columns.append({prompt: (system.scores[prompt], []) for prompt in asked})
            continue
        column: dict[str, tuple[float, list[str]]] = {}
        for start in range(0, len(asked), batch_size):
            batch = asked[start : start + batch_size]
            reasons = _score_batch(scorer, system, batch, texts, column)
            if reasons and on_missing == "fail":
                raise SoundjudgeError(
                    f"{next(iter(reasons.values()))}; mend it, or choose --on-missing skip"
                )
            left_out |= {prompt: why for prompt, why in reasons.items() if prompt not in left_out}
            progress(number * len(asked) + start + len(batch), len(systems) * len(asked))
        columns.append(column)
    kept = [prompt for prompt in asked if all(prompt in column for column in columns)]
    if not kept:
        raise SoundjudgeError(f"no prompt of {prompts.path} has a sound of every system")
    return SystemScores(
        ids=kept,
        texts=[texts[prompt] for prompt in kept],
        names=[system.name for system in systems],
        values=np.array([[column[prompt][0] for column in columns] for prompt in kept]),
        sounds=[[system.sounds[prompt] for system in systems] for prompt in kept],
        flags=[[column[prompt][1] for column in columns] for prompt in kept],
        left_out=[
            LeftOut(id=prompt, text=texts[prompt], reason=left_out[prompt])
            for prompt in prompts.ids
            if prompt in left_out
        ],
        ignored={system.name: len(system.extra) for system in systems if system.extra},
    )


def _score_batch(
    scorer: Scorer,
    system: System,
    batch: Sequence[str],
    texts: dict[str, str],
    column: dict[str, tuple[float, list[str]]],
) -> dict[str, str]:
    """Adds scores and flags to `column`; returns why a prompt has none."""
    sounds: dict[str, audio.Sound] = {}
    reasons: dict[str, str] = {}
    for prompt in batch:
        try:
            sounds[prompt] = audio.read_sound(system.sounds[prompt])
        except AudioError as error:
            reasons[prompt] = str(error)
    if sounds:
        waves = [sound.wave for sound in sounds.values()]
        values = scorer.score_waves(waves, [texts[prompt] for prompt in sounds], len(waves))
        for (prompt, sound), value in zip(sounds.items(), values, strict=True):
            column[prompt] = (value, sound.flags.names())
    return reasons
