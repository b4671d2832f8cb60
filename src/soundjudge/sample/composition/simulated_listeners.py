"""Simulated listeners: how well a heard scene matches a described one, and who says what of it.

Nobody rated the sample's sounds. The ratings made here are simulated and everything that shows
them says so. The simulated listeners mind what people mind: a missing event, a wrong order, a
wrong number; a bag of events sees only the first of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from soundjudge.sample.composition.scenes import Event, Scene

SAME_LABEL = 0.6  # credit for another sound of the right kind ('birds sing' for 'an owl hoots')
EXTRA = 0.2  # share lost when everything heard is unasked for
ORDER = 0.45  # share lost when the order is fully reversed
NUMBER = 0.2  # share lost for each repetition too few or too many


@dataclass(frozen=True, kw_only=True)
class SimulatedPanel:
    """A simulated panel of listeners; spreads are in rating points on the 0-10 scale."""

    ratings_per_pair: int
    ratings_per_listener: int
    bias_sd: float  # a listener's habit of rating high or low
    scale_sd: float  # of the logarithm: a listener's habit of using little or much of the scale
    noise_sd: float  # a listener's good and bad days
    careless: float  # share of listeners who rate at random


def match_score(heard: Scene, described: Scene) -> float:
    """How well `heard` matches `described`, 0 (not at all) to 10 (exactly)."""
    partner = _partners(heard, described)
    credit = 0.0
    number = 1.0
    for event, found in zip(described.events, partner, strict=True):
        if found is None:
            continue
        other = heard.events[found]
        same = other.recording.caption == event.recording.caption
        credit += 1.0 if same else SAME_LABEL
        number *= 1.0 - NUMBER * abs(other.count - event.count)
    coverage = credit / len(described.events)
    found_events = [found for found in partner if found is not None]
    extra = 1.0 - len(found_events) / len(heard.events)
    order = _disorder(found_events, heard, described)
    return 10.0 * coverage * number * (1.0 - EXTRA * extra) * (1.0 - ORDER * order)


def _partners(heard: Scene, described: Scene) -> list[int | None]:
    """For each described event the index of the heard event that answers it, or None."""
    free = list(range(len(heard.events)))

    def claim(event: Event, key: str) -> int | None:
        wanted = getattr(event.recording, key)
        for index in free:
            if getattr(heard.events[index].recording, key) == wanted:
                free.remove(index)
                return index
        return None

    partner = [claim(event, "caption") for event in described.events]
    return [
        claim(event, "label") if found is None else found
        for event, found in zip(described.events, partner, strict=True)
    ]


def _disorder(found: Sequence[int], heard: Scene, described: Scene) -> float:
    """Share of neighboring described events heard the wrong way round (0 to 1)."""
    if len(found) < 2:
        return 0.0
    if heard.relation != described.relation:
        return 0.5
    if described.relation == "while":
        return 0.0
    wrong = sum(first > second for first, second in pairwise(found))
    return wrong / (len(found) - 1)


def simulate_ratings(
    matches: NDArray[np.float64], panel: SimulatedPanel, prefix: str, rng: np.random.Generator
) -> list[tuple[int, str, int]]:
    """Simulated ratings as (pair index, listener id, whole points 0-10), ordered by pair.

    `matches` (n,) are the true values on the 0-10 scale. No listener rates a pair twice; ids start
    with `prefix`, so that the listeners of different splits are disjoint.
    """
    pairs = len(matches)
    wanted = round(pairs * panel.ratings_per_pair / panel.ratings_per_listener)
    listeners = max(wanted, panel.ratings_per_pair)
    bias = rng.normal(0.0, panel.bias_sd, listeners)
    scale = np.exp(rng.normal(0.0, panel.scale_sd, listeners))
    noise = panel.noise_sd * np.exp(rng.normal(0.0, 0.3, listeners))
    careless = rng.random(listeners) < panel.careless

    result: list[tuple[int, str, int]] = []
    # Going round shuffled rows of listeners gives everybody the same number of pairs, none twice.
    queue = _rounds(listeners, pairs * panel.ratings_per_pair, panel.ratings_per_pair, rng)
    for pair in range(pairs):
        for who in queue[pair]:
            opinion = 5.0 + bias[who] + scale[who] * (matches[pair] - 5.0)
            felt = rng.uniform(-0.5, 10.5) if careless[who] else opinion + rng.normal(0, noise[who])
            result.append((pair, f"{prefix}{who:04d}", int(np.clip(np.rint(felt), 0, 10))))
    return result


def _rounds(
    listeners: int, total: int, per_pair: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Listener numbers (total / per_pair, per_pair), each row without repeats, evenly used."""
    usable = listeners - listeners % per_pair  # whole rows only, so that no row spans two shuffles
    rounds = [rng.permutation(listeners)[:usable] for _ in range(-(-total // usable))]
    return np.concatenate(rounds)[:total].reshape(-1, per_pair)
