"""The design of a listening test: who rated how much, and what that design cannot show.

N = ratings, P = pairs, L = listeners.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings.rating_arrays import RatingArrays, group_counts, group_is_constant

BLOCK = 5_000_000  # ratings that are joined at once
MIN_PER_LISTENER = 10  # ratings: of fewer, a mean and a standard deviation are mostly noise


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Counts of a listening test; medians over listeners and over pairs."""

    ratings: int
    listeners: int
    pairs: int
    ratings_per_listener: float
    ratings_per_pair: float
    groups: int
    """Sets of pairs that no listener connects; more than 1: the panels are nested."""

    def notes(self) -> Iterator[str]:
        """What the design cannot show, with the consequence, a sentence each."""
        if self.ratings_per_listener < MIN_PER_LISTENER:
            yield (
                f"half of the listeners have {self.ratings_per_listener:g} ratings or fewer: their "
                "own mean and standard deviation are mostly noise, so z-scores (SPO) may be worse "
                "than mean ratings, and careless listeners are hardly found"
            )
        if self.groups > 1:
            yield (
                f"nested panels: no listener connects the {self.groups} groups of pairs, so "
                "z-scores (SPO) remove what differs between groups, and a listener's strictness "
                "cannot be told from the quality of a group"
            )


def describe_panel(ratings: RatingArrays) -> Panel:
    """The design of these ratings; N is 1 or more."""
    of_listener = group_counts(ratings.listener, ratings.num_listeners)
    of_pair = group_counts(ratings.pair, ratings.num_pairs)
    rated, raters = np.flatnonzero(of_pair), np.flatnonzero(of_listener)
    return Panel(
        ratings=len(ratings.score),
        listeners=len(raters),
        pairs=len(rated),
        ratings_per_listener=float(np.median(of_listener[raters])),
        ratings_per_pair=float(np.median(of_pair[rated])),
        groups=_count_groups(ratings, len(rated) + len(raters)),
    )


def check_listeners(ratings: RatingArrays, where: str) -> None:
    """SoundjudgeError if no listener has two ratings, or none tells any two pairs apart.

    No scale of a listener can be known then: all standardized ratings would be 0.
    """
    if len(ratings.score) < 2:
        return
    if group_counts(ratings.listener, ratings.num_listeners).max() < 2:
        raise SoundjudgeError(
            f"{where}: each of the {len(ratings.score)} ratings has a listener_id of its own, and "
            "standardization needs listeners with several: give all ratings of a person one id"
        )
    if group_is_constant(ratings.listener, ratings.score, ratings.num_listeners).all():
        raise SoundjudgeError(
            f"{where}: every listener gives one score to all of their pairs, and standardization "
            "needs listeners who tell pairs apart: is score the column of the ratings?"
        )


def _count_groups(ratings: RatingArrays, used: int) -> int:
    """Connected components of the graph of listeners and pairs that have ratings.

    Block by block, so that memory does not grow with N: a block joins the components so far.
    """
    size = ratings.num_pairs + ratings.num_listeners
    labels = np.arange(size, dtype=np.int32)
    for start in range(0, len(ratings.score), BLOCK):
        rows = slice(start, start + BLOCK)
        ends = labels[ratings.pair[rows]], labels[ratings.listener[rows] + ratings.num_pairs]
        edges = coo_array((np.ones(len(ends[0])), ends), shape=(size, size))
        labels = connected_components(edges, directed=False)[1][labels].astype(np.int32)
    return len(np.unique(labels)) - (size - used)  # codes that no rating has stand alone
