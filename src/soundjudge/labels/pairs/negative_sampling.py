"""Mismatched texts by lot: how many a caption gets, and which.

C captions, N couples. A couple is a clip and a text, see captions.py.
"""

import numpy as np

from soundjudge.labels.pairs.caption_index import CaptionIndex, contains
from soundjudge.labels.pairs.neighbors import Integers

MAX_TRIES = 1000  # texts tried for a caption, after which none is expected to be found


def allocate(captions: int, mean: float, rng: np.random.Generator) -> Integers:
    """Whole numbers next to `mean`, spread at random, whose sum is the nearest possible: (C,)."""
    sums = np.rint(np.arange(captions + 1) * mean).astype(np.int64)
    return rng.permutation(np.diff(sums))


def sample_negatives(
    known: CaptionIndex,
    group: Integers,
    wanted: Integers,
    taken: Integers,
    high: float,
    rng: np.random.Generator,
) -> tuple[Integers, Integers]:
    """Clips with captions of their group, none above `high`: (2, N), and what each lacks (C,).

    `group` (C,) is a number, or -1 for none; the couples `taken` are sorted. The captions of a
    group stand in a circle, in random order, and each goes round it from its own place until it has
    what is wanted: a caption is met about as often as any other.
    """
    wanted = np.where(group < 0, 0, wanted)
    group = group + 1
    circle = rng.permutation(len(group))
    circle = circle[np.argsort(group[circle], kind="stable")]
    place = np.argsort(circle)  # (C,)
    sizes = np.bincount(group)
    start = (np.cumsum(sizes) - sizes)[group]  # (C,)
    size = sizes[group]  # (C,)
    lacks, made = wanted, [np.empty((2, 0), dtype=np.int64)]
    waiting = np.arange(len(group))
    for step in range(1, MAX_TRIES):
        waiting = waiting[(lacks[waiting] > 0) & (step < size[waiting])]
        if not len(waiting):
            break
        first = start[waiting]
        other = circle[first + (place[waiting] - first + step) % size[waiting]]
        couples = known.clip[waiting] * known.texts + known.text[other]
        fits = np.zeros(len(couples), dtype=bool)
        fits[np.unique(couples, return_index=True)[1]] = True
        fits &= ~known.own(couples) & ~contains(taken, couples)
        fits[fits] = known.closest(couples[fits]) <= high
        lacks[waiting[fits]] -= 1
        fresh = np.sort(couples[fits])
        taken = np.insert(taken, np.searchsorted(taken, fresh), fresh)
        made.append(np.stack([known.clip[waiting[fits]], other[fits]]))
    return np.concatenate(made, axis=1), lacks
