"""Training batches of the stand-in language model: scenes as slots of words, and captions.

Letters: B = scenes, K = captions per scene, P = B * K pairs, M = slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.sample.composition import generators, scenes
from soundjudge.sample.composition.scenes import Recording, Scene, Span

CAPTIONS = 4  # K: the scene's own, one with a fault, two of other scenes (one shares an event)
HARD_FAULTS: tuple[generators.Fault, ...] = ("missing", "order", "count", "wrong", "extra")


@dataclass(frozen=True)
class MatchingBatch:
    """Scenes as slots of time, captions of these and other scenes, and how they match."""

    slots: list[list[list[str]]]  # B x M lists of the captions of the recordings that sound
    texts: list[str]  # P, the K of each scene consecutive
    matched: Tensor  # (P,) 1 where the caption is the scene's own
    overlap: Tensor  # (B, K) intersection over union of their labels
    named: Tensor  # (P, M) 1 where the caption names all that sounds in the slot


def sample_batch(
    pool: Sequence[Recording], batch: int, slots: int, rng: np.random.Generator
) -> MatchingBatch:
    """A random batch of B scenes with M slots."""
    timelines, texts, matched = [], [], []
    overlap = np.zeros((batch, CAPTIONS), np.float32)
    text_scenes: list[Scene] = []
    for row in range(batch):
        fault = HARD_FAULTS[int(rng.integers(len(HARD_FAULTS)))]
        scene = generators.sample_text_scene(pool, fault, rng)
        faulty = generators.generate_scene(scene, fault, pool, rng)
        others = [scenes.sample_scene(pool, rng), _sample_related(scene, pool, rng)]
        timelines.append(_timeline(scenes.render_scene(scene, rng)[1], slots))
        for k, text_scene in enumerate((scene, faulty, *others)):
            texts.append(scenes.write_caption(text_scene, rng))
            matched.append(float(k == 0))
            overlap[row, k] = _overlap(text_scene, scene)
            text_scenes.append(text_scene)
    named = np.zeros((len(text_scenes), slots), np.float32)
    for pair, text_scene in enumerate(text_scenes):
        captions = {event.recording.caption for event in text_scene.events}
        for m, slot in enumerate(timelines[pair // CAPTIONS]):
            named[pair, m] = bool(slot) and set(slot) <= captions
    return MatchingBatch(
        timelines, texts, torch.tensor(matched), torch.from_numpy(overlap), torch.from_numpy(named)
    )


def _sample_related(scene: Scene, pool: Sequence[Recording], rng: np.random.Generator) -> Scene:
    """A random scene that shares an event with `scene`."""
    other = scenes.sample_scene(pool, rng, events=(2, 3))
    shared = scene.events[int(rng.integers(len(scene.events)))]
    return Scene((shared, *other.events[1:]), other.relation)


def _overlap(one: Scene, other: Scene) -> float:
    """Intersection over union of the two scenes' labels, 0 to 1."""
    labels, others = ({event.recording.label for event in scene.events} for scene in (one, other))
    return len(labels & others) / len(labels | others)


def _timeline(spans: Sequence[Span], slots: int) -> list[list[str]]:
    """The captions of the recordings that sound in the middle of each of M equal slots."""
    edges: NDArray[np.float64] = np.linspace(0, scenes.SCENE_SECONDS * SAMPLE_RATE, slots + 1)
    centers = (edges[:-1] + edges[1:]) / 2
    return [
        sorted({s.event.recording.caption for s in spans if s.start <= center < s.end})
        for center in centers
    ]
