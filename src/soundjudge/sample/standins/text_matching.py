"""What the stand-in language model learns to read: what happens, and captions that say it or not.

Letters: B scenes, K captions a scene, P = B * K pairs, M slots.
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

CAPTIONS = 4  # K: the scene's own, one with a fault, two of other scenes
HARD_FAULTS: tuple[generators.Fault, ...] = ("missing", "order", "count", "wrong", "extra")


@dataclass(frozen=True)
class MatchingBatch:
    """A batch to read: what happens in time, and captions that say it or do not."""

    slots: list[list[list[str]]]  # B x M lists of the captions of what sounds then
    texts: list[str]  # P, K of each scene in a row
    same: Tensor  # (P,) 1 where the caption says what happens
    overlap: Tensor  # (B, K) share of events in common, 0..1
    named: Tensor  # (P, M) 1 where all that sounds then is named in the caption


def sample_batch(
    pool: Sequence[Recording], batch: int, slots: int, rng: np.random.Generator
) -> MatchingBatch:
    """A fresh batch of scenes with their captions."""
    heard, texts, same = [], [], []
    overlap = np.zeros((batch, CAPTIONS), np.float32)
    described: list[Scene] = []
    for row in range(batch):
        fault = HARD_FAULTS[int(rng.integers(len(HARD_FAULTS)))]
        scene = generators.describe_events(pool, fault, rng)
        near = generators.generate_scene(scene, fault, pool, rng)
        others = [scenes.sample_scene(pool, rng), _mixed(scene, pool, rng)]
        heard.append(_timeline(scenes.render_scene(scene, rng)[1], slots))
        for k, one in enumerate((scene, near, *others)):
            texts.append(scenes.write_caption(one, rng))
            same.append(float(k == 0))
            overlap[row, k] = _overlap(one, scene)
            described.append(one)
    named = np.zeros((len(described), slots), np.float32)
    for pair, one in enumerate(described):
        words = {event.recording.caption for event in one.events}
        for m, slot in enumerate(heard[pair // CAPTIONS]):
            named[pair, m] = bool(slot) and set(slot) <= words
    return MatchingBatch(
        heard, texts, torch.tensor(same), torch.from_numpy(overlap), torch.from_numpy(named)
    )


def _mixed(scene: Scene, pool: Sequence[Recording], rng: np.random.Generator) -> Scene:
    """Another scene that shares an event with this one."""
    other = scenes.sample_scene(pool, rng, events=(2, 3))
    kept = scene.events[int(rng.integers(len(scene.events)))]
    return Scene((kept, *other.events[1:]), other.relation)


def _overlap(one: Scene, other: Scene) -> float:
    """Intersection over union of the two scenes' labels, 0 to 1."""
    mine = {event.recording.label for event in one.events}
    theirs = {event.recording.label for event in other.events}
    return len(mine & theirs) / len(mine | theirs)


def _timeline(spans: Sequence[Span], slots: int) -> list[list[str]]:
    """The captions of what sounds in the middle of each of `slots` equal stretches of a scene."""
    edges: NDArray[np.float64] = np.linspace(0, scenes.SCENE_SECONDS * SAMPLE_RATE, slots + 1)
    centers = (edges[:-1] + edges[1:]) / 2
    return [
        sorted({s.event.recording.caption for s in spans if s.start <= center < s.end})
        for center in centers
    ]
