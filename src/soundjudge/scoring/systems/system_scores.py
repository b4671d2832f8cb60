"""A judge's scores of every system's sounds. N prompts, K systems."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.runtime.read_ahead import DECODERS, read_ahead
from soundjudge.scoring.systems import system_files
from soundjudge.scoring.systems.system_files import Prompts, System

if TYPE_CHECKING:
    from soundjudge.scoring.judge.pair_score import SoundScorer

OnMissing = Literal["fail", "skip"]
Progress = Callable[[int, int], None]
Column = dict[str, tuple[float, list[str]]]  # of a system: score and flags of each prompt


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
    columns: list[Column] = []
    for number, system in enumerate(systems):
        if scorer is None:
            assert system.scores is not None, "without a judge, tables must hold the scores"
            columns.append({prompt: (system.scores[prompt], []) for prompt in texts})
            continue
        columns.append({})
        for done, scored, failed in _score_system(scorer, system, texts, batch_size):
            if failed and on_missing == "fail":
                reason = next(iter(failed.values()))
                raise SoundjudgeError(f"{reason}; mend it, or choose --on-missing skip")
            columns[-1] |= scored
            reasons = failed | reasons
            progress(number * len(texts) + done, len(systems) * len(texts))
    return _join_scores(systems, prompts, columns, reasons)


def _score_system(
    scorer: "SoundScorer", system: System, texts: Mapping[str, str], size: int
) -> Iterator[tuple[int, Column, dict[str, str]]]:
    """Of each batch: how many sounds are done, its scores, and why prompts have none."""
    ids = list(texts)
    paths = [system.sounds[prompt] for prompt in ids]
    with closing(read_ahead(audio.read_sound, paths, size, threads=DECODERS)) as reading:
        for start in range(0, len(ids), size):
            sounds: dict[str, audio.Sound] = {}
            scored: Column = {}
            failed: dict[str, str] = {}
            # Not strict: `reading` goes on into the next batch.
            for prompt, future in zip(ids[start : start + size], reading, strict=False):
                try:
                    sounds[prompt] = future.result()
                except AudioError as error:
                    failed[prompt] = str(error)
            if sounds:
                words = [texts[prompt] for prompt in sounds]
                pairs = scorer.score_sounds(list(sounds.values()), words, size)
                for prompt, pair in zip(sounds, pairs, strict=True):
                    scored[prompt] = pair.value, list(pair.flags)
            yield min(start + size, len(ids)), scored, failed


def _join_scores(
    systems: Sequence[System],
    prompts: Prompts,
    columns: Sequence[Column],
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
        values=np.array([[column[prompt][0] for column in columns] for prompt in kept]),
        sounds=[[system.sounds[prompt] for system in systems] for prompt in kept],
        flags=[[column[prompt][1] for column in columns] for prompt in kept],
        left_out=[
            LeftOut(id=prompt, text=texts[prompt], reason=reasons[prompt])
            for prompt in prompts.ids
            if prompt in reasons
        ],
        ignored={system.name: len(system.extra) for system in systems if system.extra},
    )
