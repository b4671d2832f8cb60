"""Scenes: one to three real recordings in sequence or together, their sound and their words.

A scene is used twice: as what is *heard* (rendered to a waveform) and as what is *described*
(written as a caption). A pair whose two scenes are equal matches; the ways in which they differ
are the ways in which a generator fails.
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

Wave = NDArray[np.float32]  # (T,) mono, 16 kHz
Relation = Literal["then", "while"]

EVENT_SECONDS = 2.2  # a recording is cropped to this inside a scene
SCENE_SECONDS = 8.0  # longer scenes are cut
COUNTABLE_SECONDS = 1.2  # recordings this short can be heard twice or three times
REPEAT_GAP = 0.25  # seconds of silence between repetitions
RMS = 0.06  # every recording enters a scene at this loudness (full scale = 1)

TIMES = {1: "", 2: " twice", 3: " three times"}
THEN = (", then ", ", followed by ", ", and then ")
WHILE = (" while ", " as ", " and at the same time ")


@dataclass(frozen=True, kw_only=True, eq=False)  # equal is what is the same object
class Recording:
    """One real recording with its caption; recordings of one `group` come from one take."""

    clip_id: str
    caption: str
    label: str
    group: str
    wave: Wave

    @property
    def countable(self) -> bool:
        """Whether the recording is short enough to be heard as a number of events."""
        return len(self.wave) <= COUNTABLE_SECONDS * SAMPLE_RATE


@dataclass(frozen=True)
class Event:
    """A recording heard `count` times in a row (1 to 3)."""

    recording: Recording
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """Events in time order (`then`) or at the same time (`while`)."""

    events: tuple[Event, ...]
    relation: Relation = "then"


@dataclass(frozen=True)
class Span:
    """Where an event sounds once inside a rendered scene, in samples."""

    event: Event
    start: int
    end: int


def load_recordings(folder: Path) -> list[Recording]:
    """Read every recording that `folder/manifest.csv` lists (`folder/ogg/<clip_id>.ogg`)."""
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
    counted: float = 0.35,
) -> Scene:
    """A random scene of recordings with different labels.

    `counted` is the chance that a short recording is heard two or three times. Raises ValueError
    where there are fewer labels than events.
    """
    number = int(rng.choice(events))
    labels = len({one.label for one in pool})
    if labels < number:
        raise ValueError(f"recordings of {labels} labels make no scene of {number} events")
    chosen: list[Recording] = []
    while len(chosen) < number:
        candidate = pool[int(rng.integers(len(pool)))]
        if all(candidate.label != other.label for other in chosen):
            chosen.append(candidate)
    counts = [
        int(rng.integers(2, 4)) if one.countable and rng.random() < counted else 1 for one in chosen
    ]
    how: Relation = relation or ("then" if rng.random() < 0.7 else "while")
    return Scene(tuple(Event(one, n) for one, n in zip(chosen, counts, strict=True)), how)


def write_caption(scene: Scene, rng: np.random.Generator) -> str:
    """The scene in words: 'A dog barks twice, then an owl hoots'."""
    phrases = [event.recording.caption + TIMES[event.count] for event in scene.events]
    if len(phrases) == 1:
        return phrases[0]
    if scene.relation == "while" and rng.random() < 0.5:  # simultaneous events have no order
        phrases.reverse()
    joints = THEN if scene.relation == "then" else WHILE
    text = phrases[0]
    for phrase in phrases[1:]:
        text += joints[int(rng.integers(len(joints)))] + phrase[0].lower() + phrase[1:]
    return text


def render_scene(scene: Scene, rng: np.random.Generator) -> tuple[Wave, list[Span]]:
    """The scene as sound (T,), at most SCENE_SECONDS, and where each event sounds in it."""
    rate = SAMPLE_RATE
    total = int(SCENE_SECONDS * rate)
    mix = np.zeros(total, np.float32)
    spans: list[Span] = []
    cursor = int(rng.uniform(0.0, 0.2) * rate)
    for event in scene.events:
        sound = _sound(event, rng) * rng.uniform(0.6, 1.0)
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


def _sound(event: Event, rng: np.random.Generator) -> Wave:
    """One hearing of an event: its recording cropped, levelled and faded."""
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
