"""Which pairs stand in a list together: drawn anew for every epoch.

Letters: P = pairs, L = lists, S = pairs in a list, C = captions of one clip in a list.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError

Indices = NDArray[np.int64]
Draw = Callable[[np.random.Generator], Indices]


def random_lists(pairs: int, list_size: int) -> Draw:
    """Draws all P pairs in random order as lists (L, S); the rest, under one list, sits out."""
    if pairs < list_size:
        raise SoundjudgeError(f"{pairs} pairs do not fill a list of {list_size}: lower list_size.")
    lists = pairs // list_size

    def draw(rng: np.random.Generator) -> Indices:
        order: Indices = rng.permutation(pairs).astype(np.int64)
        return order[: lists * list_size].reshape(lists, list_size)

    return draw


def clip_lists(clips: Indices, list_size: int, captions_per_clip: int) -> Draw:
    """Draws lists (L, S) of S / C clips with C of their captions each; `clips` (P,) numbers them.

    So a list asks both which text fits a sound and which sound fits better. A clip's captions come
    in random order, C at a time; the last few are filled up with captions of the same clip that
    have had their turn, so every pair is seen. Groups under one list sit out, others each epoch.
    """
    if list_size % captions_per_clip:
        raise SoundjudgeError(
            f"captions_per_clip {captions_per_clip} must divide list_size {list_size}."
        )
    _, numbers, counts = np.unique(clips, return_inverse=True, return_counts=True)
    slots = -(-counts // captions_per_clip) * captions_per_clip  # full groups, per clip
    owner = np.repeat(np.arange(len(counts)), slots)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(slots) - slots, slots)
    place = (np.cumsum(counts) - counts)[owner] + turn % counts[owner]  # in pairs sorted by clip
    lists = len(owner) // list_size
    if lists == 0:
        raise SoundjudgeError(
            f"{len(clips)} pairs do not fill a list of {list_size}: lower list_size."
        )

    def draw(rng: np.random.Generator) -> Indices:
        shuffled = rng.permutation(len(numbers))
        by_clip = shuffled[np.argsort(numbers[shuffled], kind="stable")]
        groups = by_clip[place].reshape(-1, captions_per_clip)  # (groups, C)
        groups = groups[rng.permutation(len(groups))][: lists * list_size // captions_per_clip]
        drawn: Indices = groups.reshape(lists, list_size).astype(np.int64)
        return drawn

    return draw
