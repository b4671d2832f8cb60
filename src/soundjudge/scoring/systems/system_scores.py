"""A judge's scores of every system's sounds. N prompts, K systems."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.scoring.judge.reading import read_ahead
from soundjudge.scoring.systems import system_files
from soundjudge.scoring.systems.system_files import Prompts, System

if TYPE_CHECKING:
    from soundjudge.scoring.judge.pair_score import SoundScorer

OnMissing = Literal["fail", "skip"]
Progress = Callable[[int, int], None]


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
    flags: list[list[list[str]]]  # (N, K) keys of FLAG_MEANINGS
    left_out: list[LeftOut]
    ignored: dict[str, int]  # system -> its sounds of no prompt


@dataclass(kw_only=True)
class _Column:
    """One system's scores, flags and reasons where there is no score, by prompt."""

    scores: dict[str, float] = field(default_factory=dict)
    flags: dict[str, list[str]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def score_systems(
    scorer: "SoundScorer | None",
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
    reasons = {
        prompt: f"{system.name} has no sound"
        for system in reversed(systems)
        for prompt in prompts.ids
        if prompt not in system.sounds
    }
    texts = {p: t for p, t in zip(prompts.ids, prompts.texts, strict=True) if p not in reasons}
    columns: list[_Column] = []
    for number, system in enumerate(systems):
        if scorer is None:
            assert system.scores is not None, "without a judge, tables must hold the scores"
            columns.append(_Column(scores={p: system.scores[p] for p in texts}))
            continue
        column = _Column()
        for done in _score_system(scorer, system, texts, column, batch_size):
            if column.reasons and on_missing == "fail":
                reason = next(iter(column.reasons.values()))
                raise SoundjudgeError(f"{reason}; mend it, or choose --on-missing skip")
            progress(number * len(texts) + done, len(systems) * len(texts))
        reasons = column.reasons | reasons
        columns.append(column)
    return _joined(systems, prompts, columns, reasons)


def _score_system(
    scorer: "SoundScorer", system: System, texts: Mapping[str, str], column: _Column, size: int
) -> Iterator[int]:
    """Fills the column, batch by batch; yields how many sounds are done."""
    asked = list(texts)
    paths = [system.sounds[prompt] for prompt in asked]
    with closing(read_ahead(paths, audio.read_sound, size)) as reading:
        for start in range(0, len(asked), size):
            sounds: dict[str, audio.Sound] = {}
            # Not strict: `reading` goes on into the next batch.
            for prompt, future in zip(asked[start : start + size], reading, strict=False):
                try:
                    sounds[prompt] = future.result()
                except AudioError as error:
                    column.reasons[prompt] = str(error)
            if sounds:
                words = [texts[prompt] for prompt in sounds]
                pairs = scorer.score_sounds(list(sounds.values()), words, size)
                for prompt, pair in zip(sounds, pairs, strict=True):
                    column.scores[prompt], column.flags[prompt] = pair.value, list(pair.flags)
            yield min(start + size, len(asked))


def _joined(
    systems: Sequence[System],
    prompts: Prompts,
    columns: Sequence[_Column],
    reasons: Mapping[str, str],
) -> SystemScores:
    """The prompts that every column has a score of."""
    texts = dict(zip(prompts.ids, prompts.texts, strict=True))
    kept = [prompt for prompt in prompts.ids if prompt not in reasons]
    if not kept:
        raise SoundjudgeError(f"no prompt of {prompts.path} has a sound of every system")
    return SystemScores(
        ids=kept,
        texts=[texts[prompt] for prompt in kept],
        names=[system.name for system in systems],
        values=np.array([[column.scores[prompt] for column in columns] for prompt in kept]),
        sounds=[[system.sounds[prompt] for system in systems] for prompt in kept],
        flags=[[column.flags.get(prompt, []) for column in columns] for prompt in kept],
        left_out=[
            LeftOut(id=prompt, text=texts[prompt], reason=reasons[prompt])
            for prompt in prompts.ids
            if prompt in reasons
        ],
        ignored={system.name: len(system.extra) for system in systems if system.extra},
    )
