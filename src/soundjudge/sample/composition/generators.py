"""Simulated text-to-audio generators: each fails its text in its own way and colors its sound.

A generator is given a described scene and returns the heard one. Its faults are those that people
mind and that a bag of events does not show: a missing event, a wrong order, a wrong number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from scipy import signal

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.sample.composition import scenes
from soundjudge.sample.composition.scenes import Recording, Scene, Wave

Fault = Literal["none", "missing", "extra", "order", "count", "wrong", "unrelated"]
FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True, kw_only=True)
class Generator:
    """A simulated generator: how often it commits each fault, and how its sound is colored."""

    model_id: str
    faults: tuple[float, ...]  # chances in the order of FAULTS, sum 1
    cutoff_hz: float  # low-pass
    noise_db: float  # noise floor relative to the scene's loudness


#                         none missing extra order count wrong unrelated
GENERATORS = (
    Generator(
        model_id="sim-a", faults=(0.45, 0.12, 0.08, 0.11, 0.12, 0.07, 0.05),
        cutoff_hz=7500.0, noise_db=-40.0,
    ),
    Generator(
        model_id="sim-b", faults=(0.33, 0.15, 0.08, 0.15, 0.14, 0.08, 0.07),
        cutoff_hz=7000.0, noise_db=-35.0,
    ),
    Generator(
        model_id="sim-c", faults=(0.24, 0.18, 0.10, 0.14, 0.12, 0.12, 0.10),
        cutoff_hz=6000.0, noise_db=-35.0,
    ),
    Generator(
        model_id="sim-d", faults=(0.15, 0.20, 0.08, 0.18, 0.13, 0.13, 0.13),
        cutoff_hz=6500.0, noise_db=-28.0,
    ),
    Generator(
        model_id="sim-e", faults=(0.30, 0.12, 0.12, 0.20, 0.12, 0.07, 0.07),
        cutoff_hz=5500.0, noise_db=-32.0,
    ),
    Generator(
        model_id="sim-f", faults=(0.20, 0.18, 0.10, 0.12, 0.16, 0.12, 0.12),
        cutoff_hz=7200.0, noise_db=-30.0,
    ),
)  # fmt: skip


def describe_events(pool: Sequence[Recording], fault: Fault, rng: np.random.Generator) -> Scene:
    """A scene to describe in which `fault` can happen (an order needs two events, and so on).

    Raises ValueError where the recordings of `pool` do not allow it.
    """
    if fault == "order":
        return scenes.sample_scene(pool, rng, events=(2, 3), relation="then")
    if fault == "missing":
        return scenes.sample_scene(pool, rng, events=(2, 3))
    if fault == "extra":
        return scenes.sample_scene(pool, rng, events=(1, 2))
    if fault == "count":
        if not any(one.countable for one in pool):
            raise ValueError("no recording is short enough to be heard in a wrong number")
        while True:
            scene = scenes.sample_scene(pool, rng, counted=0.7)
            if any(event.recording.countable for event in scene.events):
                return scene
    return scenes.sample_scene(pool, rng)


def generate_scene(
    scene: Scene, fault: Fault, pool: Sequence[Recording], rng: np.random.Generator
) -> Scene:
    """What a generator that commits `fault` makes of the described `scene`."""
    events = list(scene.events)
    if fault == "missing":
        del events[int(rng.integers(len(events)))]
    elif fault == "extra":
        events.insert(int(rng.integers(len(events) + 1)), _other(scene, pool, rng).events[0])
    elif fault == "wrong":
        events[int(rng.integers(len(events)))] = _other(scene, pool, rng).events[0]
    elif fault == "order":
        events = events[1:] + events[:1]
    elif fault == "count":
        countable = [i for i, event in enumerate(events) if event.recording.countable]
        which = int(rng.choice(countable))
        others = [n for n in scenes.TIMES if n != events[which].count]
        events[which] = replace(events[which], count=int(rng.choice(others)))
    elif fault == "unrelated":
        return _other(scene, pool, rng, events=(1, 2, 3))
    return Scene(tuple(events), scene.relation)


def apply_channel(wave: Wave, generator: Generator, rng: np.random.Generator) -> Wave:
    """The generator's sound: low-passed, with a noise floor; (T,) in, (T,) out."""
    return _colour(wave, generator.cutoff_hz, generator.noise_db, rng)


def place_at_random(wave: Wave, rng: np.random.Generator) -> Wave:
    """A sound as the encoders met it in the wild: half of them low-passed and noisy."""
    if rng.random() < 0.5:
        return wave
    return _colour(wave, rng.uniform(4000.0, 7900.0), rng.uniform(-50.0, -20.0), rng)


def _colour(wave: Wave, cutoff_hz: float, noise_db: float, rng: np.random.Generator) -> Wave:
    low_pass = signal.butter(4, cutoff_hz, fs=SAMPLE_RATE, output="sos")
    filtered = signal.sosfilt(low_pass, wave)
    loudness = float(np.sqrt(np.mean(filtered**2)))
    noise = rng.standard_normal(len(wave)) * loudness * 10 ** (noise_db / 20)
    return np.clip(filtered + noise, -1.0, 1.0).astype(np.float32)


def _other(
    scene: Scene,
    pool: Sequence[Recording],
    rng: np.random.Generator,
    events: Sequence[int] = (1,),
) -> Scene:
    """A scene that shares no label with `scene`."""
    labels = {event.recording.label for event in scene.events}
    return scenes.sample_scene([one for one in pool if one.label not in labels], rng, events=events)
