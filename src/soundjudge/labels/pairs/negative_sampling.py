"""Random mismatched texts: the number that each caption gets, and a sample without repetition.

C captions, N pairs. A pair of clip and text has one code, see caption_index.py.
"""

import numpy as np

from soundjudge.labels.pairs.caption_index import CaptionIndex, contains
from soundjudge.labels.pairs.neighbors import Integers

MAX_TRIES = 1000  # texts that are tried for a caption


def allocate(captions: int, mean: float, rng: np.random.Generator) -> Integers:
    """Whole numbers next to `mean`, in random order, whose sum is the nearest possible: (C,)."""
    sums = np.rint(np.arange(captions + 1) * mean).astype(np.int64)
    return rng.permutation(np.diff(sums))


def sample_negatives(
    index: CaptionIndex,
    group: Integers,
    counts: Integers,
    used: Integers,
    max_similarity: float,
    rng: np.random.Generator,
) -> tuple[Integers, Integers]:
    """Clips with captions of their group: (2, N), and how many each caption still lacks (C,).

    `group` (C,) is a number, or -1 for none; `counts` (C,) are requested; the pairs `used`, sorted,
    are excluded, and texts more similar than `max_similarity` to the clip's own. The captions of a
    group form a circle, in random order, and each goes round it from its own position until it has
    its count: every caption is sampled about equally often.
    """
    counts = np.where(group < 0, 0, counts)
    group = group + 1
    circle = rng.permutation(len(group))
    circle = circle[np.argsort(group[circle], kind="stable")]
    position = np.argsort(circle)  # (C,)
    sizes = np.bincount(group)
    start = (np.cumsum(sizes) - sizes)[group]  # (C,)
    size = sizes[group]  # (C,)
    lacking, sampled = counts, [np.empty((2, 0), dtype=np.int64)]
    waiting = np.arange(len(group))
    for step in range(1, MAX_TRIES):
        waiting = waiting[(lacking[waiting] > 0) & (step < size[waiting])]
        if not len(waiting):
            break
        first = start[waiting]
        other = circle[first + (position[waiting] - first + step) % size[waiting]]
        pairs = index.clip[waiting] * index.num_texts + index.text[other]
        accepted = np.zeros(len(pairs), dtype=bool)
        accepted[np.unique(pairs, return_index=True)[1]] = True
        accepted &= ~index.is_own_text(pairs) & ~contains(used, pairs)
        accepted[accepted] = index.own_similarity(pairs[accepted]) <= max_similarity
        lacking[waiting[accepted]] -= 1
        new = np.sort(pairs[accepted])
        used = np.insert(used, np.searchsorted(used, new), new)
        sampled.append(np.stack([index.clip[waiting[accepted]], other[accepted]]))
    return np.concatenate(sampled, axis=1), lacking
