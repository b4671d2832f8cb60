"""Who and what is trusted: ratings that nobody confirms and listeners who disagree are dropped.

Rating by rating (SPO-CLAPScore, arXiv 2601.02900, as in its published code): a rating stays if and
only if another rating of the same sound lies within the tolerance, ends included. Listener by
listener (as that paper's words have it): a listener goes who answers the same each time, or who is
careless with a probability above a threshold (`carelessness`).

Is screening what was screened without effect? By ratings it is: closeness is mutual, so a rating
that stays keeps its partner. By listeners it need not be: with some gone, the share of careless
listeners is estimated anew and the others' means have moved. Nor by both: a listener who answers
5, 5, 5, 5, 5, 5, 5, 5 and once 10, where nobody else says more than 4, is not constant; his 10 is
isolated and goes, and then he is.

N = ratings, L = listeners. Scores are 0 to 10.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data import tables
from soundjudge.data.schema import Table
from soundjudge.labels import carelessness, coded
from soundjudge.labels.coded import Coded, Floats, LabelError

DROPPED = Table(
    name="dropped",
    columns={**tables.RATINGS.columns, "reason": "str", "pair_lost": "bool"},
    key=tables.RATINGS.key,
    nullable=tables.RATINGS.nullable,
)
REASONS = ("kept", "isolated", "careless", "constant")
KEPT, ISOLATED, CARELESS, CONSTANT = range(4)
POINT = 1_000_000  # ratings and tolerance count in millionths of a point: 6.3 - 1.3 is 5 exactly


@dataclass(frozen=True, kw_only=True)
class Screening:
    """Section `screen` of params.yaml: which ratings are trusted."""

    method: Literal["rating", "listener", "both", "none"]
    tolerance: float  # rating points
    careless: float  # probability
    constant: int  # ratings
    splits: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.tolerance >= 0:
            raise LabelError(f"tolerance is {self.tolerance}: choose 0 or more rating points")
        if not 0 < self.careless < 1:
            raise LabelError(f"careless is {self.careless}: choose a probability between 0 and 1")
        if self.constant < 2:
            raise LabelError(f"constant is {self.constant}: choose 2 or more ratings")
        unknown = sorted(set(self.splits) - {"train", "validation"})
        if unknown:
            raise LabelError(f"splits has {unknown[0]!r}: only train and validation are screened")


def agreeing(ratings: Coded, tolerance: float) -> NDArray[np.bool_]:
    """True where at least one other rating of the same pair lies within `tolerance` points. (N,)

    The nearest other rating of a pair is a neighbour in sorted order, so neighbours decide. Pairs
    are laid end to end on one line of whole numbers, further apart than the tolerance.
    """
    kept = np.zeros(len(ratings.score), dtype=np.bool_)
    if len(kept) < 2:
        return kept
    place = np.rint(ratings.score.astype(np.float64) * POINT).astype(np.int64)
    lowest, highest = int(place.min()), int(place.max())
    reach = min(round(tolerance * POINT), highest - lowest)
    place += ratings.pair.astype(np.int64) * (highest - lowest + reach + 1)
    order = np.argsort(place)
    close = np.diff(place[order]) <= reach  # (N-1,)
    kept[order[:-1]] = close
    kept[order[1:]] |= close
    return kept


def excluded(ratings: Coded, probability: Floats, screening: Screening) -> NDArray[np.int8]:
    """KEPT, CARELESS or CONSTANT for each listener, given their `carelessness`. (L,) -> (L,)

    Someone who answers alike so many times says nothing of any pair, however right by chance.
    """
    listener, size = ratings.listener, ratings.listeners
    reason = np.where(probability > screening.careless, CARELESS, KEPT).astype(np.int8)
    many = coded.counts(listener, size) >= screening.constant
    reason[many & coded.constant(listener, ratings.score, size)] = CONSTANT
    return reason


def careless(ratings: pd.DataFrame, screening: Screening) -> set[str]:
    """The ids of the listeners whom listener screening excludes, ratings being of one split."""
    numbers = coded.coded(ratings)
    probability = carelessness.probabilities(numbers)
    return set(numbers.names[excluded(numbers, probability, screening) != KEPT])


def reasons(ratings: Coded, screening: Screening) -> NDArray[np.int8]:
    """Why each rating of one split goes: an index of REASONS. (N,)

    With `both`, listeners come first: the ratings that nobody confirms are what gives a careless
    listener away, and those of two careless listeners may confirm each other by chance.
    """
    reason = np.zeros(len(ratings.score), dtype=np.int8)
    if screening.method in ("listener", "both"):
        probability = carelessness.probabilities(ratings)
        reason = excluded(ratings, probability, screening)[ratings.listener]
    if screening.method in ("rating", "both"):
        left = reason == KEPT
        confirmed = agreeing(ratings.where(left), screening.tolerance)
        reason[left] = np.where(confirmed, KEPT, ISOLATED)
    return reason


def verdicts(ratings: pd.DataFrame, screening: Screening) -> NDArray[np.int8]:
    """`reasons`, each split apart; the splits that are not screened stay whole. (N,)"""
    reason = np.zeros(len(ratings), dtype=np.int8)
    for split in screening.splits:
        rows = (ratings["split"] == split).to_numpy(dtype=np.bool_)
        reason[rows] = reasons(coded.coded(ratings[rows]), screening)
    return reason


def trusted(ratings: pd.DataFrame, screening: Screening) -> NDArray[np.bool_]:
    """True where a rating stays. (N,)"""
    kept: NDArray[np.bool_] = verdicts(ratings, screening) == KEPT
    return kept


def screen(ratings: pd.DataFrame, screening: Screening) -> pd.DataFrame:
    """The trusted ratings, order and columns kept; LabelError if a split loses all of its own."""
    kept: pd.DataFrame = ratings[trusted(ratings, screening)]
    for split in screening.splits:
        if (ratings["split"] == split).any() and not (kept["split"] == split).any():
            reason = nothing_left(f"{split} ratings", screening)
            raise LabelError(f"{reason}: raise screen.tolerance or set screen.method to none")
    whole: pd.DataFrame = kept.reset_index(drop=True)
    return whole


def nothing_left(what: str, screening: Screening) -> str:
    """The sentence, without remedy, for an error."""
    if screening.method == "rating":
        return f"no two {what} of the same pair lie within {screening.tolerance:g} points"
    return f"method {screening.method} leaves none of the {what}"


def dropped(ratings: pd.DataFrame, screening: Screening) -> pd.DataFrame:
    """The other ratings, with the reason, and `pair_lost`: no rating of the pair is left."""
    reason = verdicts(ratings, screening)
    pair = coded.pair_numbers(ratings)
    left = np.bincount(pair, weights=reason == KEPT)[pair] if len(pair) else reason
    table = ratings.assign(reason=np.array(REASONS, object)[reason], pair_lost=left == 0)
    gone: pd.DataFrame = table[reason != KEPT].reset_index(drop=True)
    return gone
