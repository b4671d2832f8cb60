"""The composition of lists of pairs, sampled anew for every epoch.

Letters: P = pairs, L = lists, S = pairs in a list, C = captions of one clip in a list.
"""

import numpy as np

from soundjudge.errors import SoundjudgeError
from soundjudge.training.loop.loop import ItemSampler
from soundjudge.training.loop.objective import Indices


def random_lists(pairs: int, list_size: int) -> ItemSampler:
    """Samples all P pairs in random order as lists (L, S), less a remainder below one list."""
    if pairs < list_size:
        raise SoundjudgeError(f"{pairs} pairs do not fill a list of {list_size}: lower list_size.")
    lists = pairs // list_size

    def sample(rng: np.random.Generator) -> Indices:
        order: Indices = rng.permutation(pairs).astype(np.int64)
        return order[: lists * list_size].reshape(lists, list_size)

    return sample


def clip_lists(clips: Indices, list_size: int, captions_per_clip: int) -> ItemSampler:
    """Samples lists (L, S) of S / C clips with C of their captions each; `clips` (P,) are codes.

    So a list compares texts of one sound as well as sounds. Each clip's captions are split in
    random order into groups of C; its last group is filled up with captions of its first, so every
    pair occurs. A remainder of groups below one list, another in each epoch, is left out.
    """
    if list_size % captions_per_clip:
        raise SoundjudgeError(
            f"captions_per_clip {captions_per_clip} must divide list_size {list_size}."
        )
    _, numbers, counts = np.unique(clips, return_inverse=True, return_counts=True)
    slots = -(-counts // captions_per_clip) * captions_per_clip  # in full groups, per clip
    clip_of_slot = np.repeat(np.arange(len(counts)), slots)
    rank = np.arange(len(clip_of_slot)) - np.repeat(np.cumsum(slots) - slots, slots)  # in its clip
    first = np.cumsum(counts) - counts  # pair of each clip, sorted by clip
    position = first[clip_of_slot] + rank % counts[clip_of_slot]  # of a slot's pair, likewise
    lists = len(clip_of_slot) // list_size
    if lists == 0:
        raise SoundjudgeError(
            f"{len(clips)} pairs do not fill a list of {list_size}: lower list_size."
        )

    def sample(rng: np.random.Generator) -> Indices:
        shuffled = rng.permutation(len(numbers))
        by_clip = shuffled[np.argsort(numbers[shuffled], kind="stable")]
        groups = by_clip[position].reshape(-1, captions_per_clip)  # (groups, C)
        groups = groups[rng.permutation(len(groups))][: lists * list_size // captions_per_clip]
        items: Indices = groups.reshape(lists, list_size).astype(np.int64)
        return items

    return sample
