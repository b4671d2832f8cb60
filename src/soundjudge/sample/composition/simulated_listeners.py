"""Simulated listeners: the true match of two scenes, and ratings of it.

Nobody rated the sample's sounds: these ratings are simulated, and everything that shows them says
so. The true match falls with faults that people mind: a missing event, a wrong order, a wrong
number. A bag of events shows only the first of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from soundjudge.sample.composition.scenes import Event, Scene

SAME_LABEL = 0.6  # credit for another recording of the label ('birds sing' for 'an owl hoots')
EXTRA = 0.2  # fraction lost when all events of the audio are extra
ORDER = 0.45  # fraction lost when the order is fully reversed
NUMBER = 0.2  # fraction lost per repetition too few or too many


@dataclass(frozen=True, kw_only=True)
class SimulatedPanel:
    """A simulated panel of listeners; spreads are in rating points on the 0-10 scale."""

    ratings_per_pair: int
    ratings_per_listener: int
    bias_sd: float  # of a listener's bias
    scale_sd: float  # of the logarithm of a listener's scale
    noise_sd: float  # median over listeners of the noise of their ratings
    careless: float  # fraction of listeners who rate at random


def match_score(audio: Scene, text: Scene) -> float:
    """How well the scene `audio` matches the scene `text`, 0 (not at all) to 10 (exactly)."""
    assignment = _assign_events(audio, text)
    credit = 0.0
    number = 1.0
    for event, index in zip(text.events, assignment, strict=True):
        if index is None:
            continue
        match = audio.events[index]
        same = match.recording.caption == event.recording.caption
        credit += 1.0 if same else SAME_LABEL
        number *= 1.0 - NUMBER * abs(match.count - event.count)
    coverage = credit / len(text.events)
    indices = [index for index in assignment if index is not None]
    extra = 1.0 - len(indices) / len(audio.events)
    order = _disorder(indices, audio, text)
    return 10.0 * coverage * number * (1.0 - EXTRA * extra) * (1.0 - ORDER * order)


def _assign_events(audio: Scene, text: Scene) -> list[int | None]:
    """For each event of the text the index of its event in the audio, or None."""
    free = list(range(len(audio.events)))

    def assign(event: Event, key: str) -> int | None:
        value = getattr(event.recording, key)
        for index in free:
            if getattr(audio.events[index].recording, key) == value:
                free.remove(index)
                return index
        return None

    by_caption = [assign(event, "caption") for event in text.events]
    return [
        assign(event, "label") if index is None else index
        for event, index in zip(text.events, by_caption, strict=True)
    ]


def _disorder(indices: Sequence[int], audio: Scene, text: Scene) -> float:
    """Fraction of neighboring events of the text that the audio has in reverse order."""
    if len(indices) < 2:
        return 0.0
    if audio.relation != text.relation:
        return 0.5
    if text.relation == "while":
        return 0.0
    reversed_pairs = sum(first > second for first, second in pairwise(indices))
    return reversed_pairs / (len(indices) - 1)


def simulate_ratings(
    matches: NDArray[np.float64], panel: SimulatedPanel, prefix: str, rng: np.random.Generator
) -> list[tuple[int, str, int]]:
    """Simulated ratings as (pair index, listener id, whole points 0-10), ordered by pair.

    `matches` (n,) are the true values on the 0-10 scale. No listener rates a pair twice; ids start
    with `prefix`, so that the listeners of different splits are disjoint.
    """
    pairs = len(matches)
    listeners = round(pairs * panel.ratings_per_pair / panel.ratings_per_listener)
    listeners = max(listeners, panel.ratings_per_pair)
    bias = rng.normal(0.0, panel.bias_sd, listeners)
    scale = np.exp(rng.normal(0.0, panel.scale_sd, listeners))
    noise = panel.noise_sd * np.exp(rng.normal(0.0, 0.3, listeners))
    careless = rng.random(listeners) < panel.careless

    ratings: list[tuple[int, str, int]] = []
    assignment = _assign_listeners(listeners, pairs, panel.ratings_per_pair, rng)
    for pair in range(pairs):
        for i in assignment[pair]:
            mean = 5.0 + bias[i] + scale[i] * (matches[pair] - 5.0)
            score = rng.uniform(-0.5, 10.5) if careless[i] else mean + rng.normal(0, noise[i])
            ratings.append((pair, f"{prefix}{i:04d}", int(np.clip(np.rint(score), 0, 10))))
    return ratings


def _assign_listeners(
    listeners: int, pairs: int, per_pair: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Listener numbers (pairs, per_pair), each row without repeats, used equally often."""
    total = pairs * per_pair
    usable = listeners - listeners % per_pair  # whole rows only, so that no row spans two shuffles
    shuffles = [rng.permutation(listeners)[:usable] for _ in range(-(-total // usable))]
    return np.concatenate(shuffles)[:total].reshape(-1, per_pair)
