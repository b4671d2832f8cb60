"""Ranks of scores, with ties where a difference lies within the judge's noise."""

from collections.abc import Sequence


def rank_scores(scores: Sequence[float], difference: float) -> list[int]:
    """The rank of each score: 1 + the number of scores that are higher by more than `difference`.

    Scores of one rank are not told apart, neither from one another nor from any of a better rank
    that is not higher by more than that.
    """
    return [1 + sum(other - score > difference for other in scores) for score in scores]
