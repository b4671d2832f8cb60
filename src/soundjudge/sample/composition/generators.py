"""Simulated text-to-audio generators: each has its own error rates and its own channel.

A generator takes the scene of a text and returns the scene of its audio. Some of its faults do not
show in a bag of events, but people mind them: a wrong order, a wrong number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from scipy import signal

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError
from soundjudge.sample.composition import scenes
from soundjudge.sample.composition.scenes import Recording, Scene, Wave

Fault = Literal["none", "missing", "extra", "order", "count", "wrong", "unrelated"]
FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True)
class Generator:
    """A simulated generator: the probability of each fault, and its channel."""

    model_id: str
    faults: tuple[float, ...]  # probabilities in the order of FAULTS, sum 1
    cutoff_hz: float  # of a low-pass filter
    noise_db: float  # noise level relative to the filtered sound's


#                         none missing extra order count wrong unrelated
GENERATORS = (
    Generator("sim-a", (0.45, 0.12, 0.08, 0.11, 0.12, 0.07, 0.05), 7500.0, -40.0),
    Generator("sim-b", (0.33, 0.15, 0.08, 0.15, 0.14, 0.08, 0.07), 7000.0, -35.0),
    Generator("sim-c", (0.24, 0.18, 0.10, 0.14, 0.12, 0.12, 0.10), 6000.0, -35.0),
    Generator("sim-d", (0.15, 0.20, 0.08, 0.18, 0.13, 0.13, 0.13), 6500.0, -28.0),
    Generator("sim-e", (0.30, 0.12, 0.12, 0.20, 0.12, 0.07, 0.07), 5500.0, -32.0),
    Generator("sim-f", (0.20, 0.18, 0.10, 0.12, 0.16, 0.12, 0.12), 7200.0, -30.0),
)


def sample_text_scene(pool: Sequence[Recording], fault: Fault, rng: np.random.Generator) -> Scene:
    """A random scene of a text in which `fault` is possible (an order needs two events, ...).

    Raises SoundjudgeError where the recordings of `pool` do not allow it.
    """
    if fault == "order":
        return scenes.sample_scene(pool, rng, events=(2, 3), relation="then")
    if fault == "missing":
        return scenes.sample_scene(pool, rng, events=(2, 3))
    if fault == "extra":
        return scenes.sample_scene(pool, rng, events=(1, 2))
    if fault == "count":
        if not any(recording.countable for recording in pool):
            raise SoundjudgeError("no recording is short enough for a wrong number")
        while True:
            scene = scenes.sample_scene(pool, rng, repeat_probability=0.7)
            if any(event.recording.countable for event in scene.events):
                return scene
    return scenes.sample_scene(pool, rng)


def generate_scene(
    scene: Scene, fault: Fault, pool: Sequence[Recording], rng: np.random.Generator
) -> Scene:
    """The audio's scene of a generator that commits `fault` on a text's `scene`."""
    events = list(scene.events)
    if fault == "missing":
        del events[int(rng.integers(len(events)))]
    elif fault == "extra":
        events.insert(int(rng.integers(len(events) + 1)), _sample_other(scene, pool, rng).events[0])
    elif fault == "wrong":
        events[int(rng.integers(len(events)))] = _sample_other(scene, pool, rng).events[0]
    elif fault == "order":
        events = events[1:] + events[:1]
    elif fault == "count":
        countable = [i for i, event in enumerate(events) if event.recording.countable]
        index = int(rng.choice(countable))
        counts = [n for n in scenes.TIMES if n != events[index].count]
        events[index] = replace(events[index], count=int(rng.choice(counts)))
    elif fault == "unrelated":
        return _sample_other(scene, pool, rng, events=(1, 2, 3))
    return Scene(tuple(events), scene.relation)


def apply_channel(wave: Wave, generator: Generator, rng: np.random.Generator) -> Wave:
    """The wave (T,) low-passed and with noise, as the generator's channel: (T,)."""
    return _filter_and_add_noise(wave, generator.cutoff_hz, generator.noise_db, rng)


def apply_random_channel(wave: Wave, rng: np.random.Generator) -> Wave:
    """The wave (T,), half of the times low-passed and noisy, to train the stand-in encoders on."""
    if rng.random() < 0.5:
        return wave
    cutoff_hz, noise_db = rng.uniform(4000.0, 7900.0), rng.uniform(-50.0, -20.0)
    return _filter_and_add_noise(wave, cutoff_hz, noise_db, rng)


def _filter_and_add_noise(
    wave: Wave, cutoff_hz: float, noise_db: float, rng: np.random.Generator
) -> Wave:
    low_pass = signal.butter(4, cutoff_hz, fs=SAMPLE_RATE, output="sos")
    filtered = signal.sosfilt(low_pass, wave)
    rms = float(np.sqrt(np.mean(filtered**2)))
    noise = rng.standard_normal(len(wave)) * rms * 10 ** (noise_db / 20)
    return np.clip(filtered + noise, -1.0, 1.0).astype(np.float32)


def _sample_other(
    scene: Scene, pool: Sequence[Recording], rng: np.random.Generator, events: Sequence[int] = (1,)
) -> Scene:
    """A random scene that shares no label with `scene`."""
    labels = {event.recording.label for event in scene.events}
    others = [recording for recording in pool if recording.label not in labels]
    return scenes.sample_scene(others, rng, events=events)
