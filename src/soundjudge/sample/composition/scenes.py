"""Scenes: one to three real recordings in sequence or together, rendered as sound or as text.

A pair of a sound and a text has two scenes: that of its audio, rendered to a waveform, and that of
its text, written as a caption. Equal scenes match; their differences are a generator's faults.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError

Wave = NDArray[np.float32]  # (T,) mono, 16 kHz
Relation = Literal["then", "while"]

EVENT_SECONDS = 2.2  # a recording is cropped to this inside a scene
SCENE_SECONDS = 8.0  # longer scenes are cut
COUNTABLE_SECONDS = 1.2  # recordings this short can be repeated twice or three times
REPEAT_GAP = 0.25  # seconds of silence between repetitions
RMS = 0.06  # of every recording in a scene, before a random gain (full scale = 1)

TIMES = {1: "", 2: " twice", 3: " three times"}
THEN = (", then ", ", followed by ", ", and then ")
WHILE = (" while ", " as ", " and at the same time ")


@dataclass(frozen=True, kw_only=True, eq=False)  # compared by identity
class Recording:
    """One real recording with its caption; recordings of one `group` come from one take."""

    clip_id: str
    caption: str
    label: str
    group: str
    wave: Wave

    @property
    def countable(self) -> bool:
        """Whether the recording is short enough to be repeated."""
        return len(self.wave) <= COUNTABLE_SECONDS * SAMPLE_RATE


@dataclass(frozen=True)
class Event:
    """A recording that sounds `count` times in a row (1 to 3)."""

    recording: Recording
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """Events in time order (`then`) or at the same time (`while`)."""

    events: tuple[Event, ...]
    relation: Relation = "then"


@dataclass(frozen=True)
class Span:
    """One repetition of an event in a rendered scene, in samples."""

    event: Event
    start: int
    end: int


def load_recordings(folder: Path) -> list[Recording]:
    """Every recording that `folder/manifest.csv` lists (`folder/ogg/<clip_id>.ogg`)."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Recording(
            clip_id=row["clip_id"],
            caption=row["caption"],
            label=row["label"],
            group=row["group"],
            wave=audio.read_audio(folder / "ogg" / f"{row['clip_id']}.ogg"),
        )
        for row in rows
    ]


def sample_scene(
    pool: Sequence[Recording],
    rng: np.random.Generator,
    *,
    events: Sequence[int] = (1, 2, 3),
    relation: Relation | None = None,
    repeat_probability: float = 0.35,
) -> Scene:
    """A random scene of recordings with different labels.

    A short recording sounds two or three times with `repeat_probability`. Raises SoundjudgeError
    where there are fewer labels than events.
    """
    number = int(rng.choice(events))
    labels = len({recording.label for recording in pool})
    if labels < number:
        raise SoundjudgeError(f"recordings of {labels} labels make no scene of {number} events")
    recordings: list[Recording] = []
    while len(recordings) < number:
        candidate = pool[int(rng.integers(len(pool)))]
        if all(candidate.label != other.label for other in recordings):
            recordings.append(candidate)
    counts = [
        int(rng.integers(2, 4)) if one.countable and rng.random() < repeat_probability else 1
        for one in recordings
    ]
    relation = relation or ("then" if rng.random() < 0.7 else "while")
    return Scene(tuple(Event(*event) for event in zip(recordings, counts, strict=True)), relation)


def write_caption(scene: Scene, rng: np.random.Generator) -> str:
    """The scene as text: 'A dog barks twice, then an owl hoots'."""
    phrases = [event.recording.caption + TIMES[event.count] for event in scene.events]
    if len(phrases) == 1:
        return phrases[0]
    if scene.relation == "while" and rng.random() < 0.5:  # simultaneous events have no order
        phrases.reverse()
    conjunctions = THEN if scene.relation == "then" else WHILE
    text = phrases[0]
    for phrase in phrases[1:]:
        text += conjunctions[int(rng.integers(len(conjunctions)))] + phrase[0].lower() + phrase[1:]
    return text


def render_scene(scene: Scene, rng: np.random.Generator) -> tuple[Wave, list[Span]]:
    """The scene as sound (T,), at most SCENE_SECONDS long, and the spans of its events."""
    rate = SAMPLE_RATE
    total = int(SCENE_SECONDS * rate)
    mix = np.zeros(total, np.float32)
    spans: list[Span] = []
    cursor = int(rng.uniform(0.0, 0.2) * rate)
    for event in scene.events:
        sound = _render_event(event, rng) * rng.uniform(0.6, 1.0)
        start = cursor if scene.relation == "then" else int(rng.uniform(0.0, 0.3) * rate)
        for _ in range(event.count):
            end = min(start + len(sound), total)
            if start < end:
                mix[start:end] += sound[: end - start]
                spans.append(Span(event, start, end))
                cursor = end
            start = end + int(REPEAT_GAP * rate)
        cursor += int(rng.uniform(0.1, 0.3) * rate)
    wave = mix[: max(span.end for span in spans)]
    return wave / max(1.0, float(np.abs(wave).max()) / 0.95), spans


def _render_event(event: Event, rng: np.random.Generator) -> Wave:
    """One repetition of an event: its recording cropped, set to RMS and faded."""
    wave = event.recording.wave
    length = int((EVENT_SECONDS if event.count == 1 else COUNTABLE_SECONDS) * SAMPLE_RATE)
    if len(wave) > length:
        start = int(rng.integers(len(wave) - length + 1))
        wave = wave[start : start + length]
    wave = wave * (RMS / max(float(np.sqrt(np.mean(wave**2))), 1e-4))
    fade = min(160, len(wave) // 2)  # 10 ms
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    ends = (wave[:fade] * ramp, wave[fade:-fade], wave[-fade:] * ramp[::-1])
    return np.concatenate(ends).astype(np.float32)
