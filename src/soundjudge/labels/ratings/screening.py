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

from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import Table
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import carelessness, rating_arrays
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays

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
    careless_threshold: float  # probability
    straightline_min_ratings: int  # ratings
    splits: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.tolerance >= 0:
            raise SoundjudgeError(f"tolerance is {self.tolerance}: choose 0 or more rating points")
        if not 0 < self.careless_threshold < 1:
            raise SoundjudgeError(
                f"careless_threshold is {self.careless_threshold}: choose a probability between 0 and 1"
            )
        if self.straightline_min_ratings < 2:
            raise SoundjudgeError(
                f"straightline_min_ratings is {self.straightline_min_ratings}: choose 2 or more ratings"
            )
        unknown = sorted(set(self.splits) - {"train", "validation"})
        if unknown:
            raise SoundjudgeError(
                f"splits has {unknown[0]!r}: only train and validation are screened"
            )


def is_confirmed(ratings: RatingArrays, tolerance: float) -> NDArray[np.bool_]:
    """True where at least one other rating of the same pair lies within `tolerance` points. (N,)

    The nearest other rating of a pair is a neighbor in sorted order, so neighbors decide. Pairs
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


def exclusion_reasons(
    ratings: RatingArrays, probability: Floats, screening: Screening
) -> NDArray[np.int8]:
    """KEPT, CARELESS or CONSTANT for each listener, given their `carelessness`. (L,) -> (L,)

    Someone who answers alike so many times says nothing of any pair, however right by chance.
    """
    listener, size = ratings.listener, ratings.listeners
    reason = np.where(probability > screening.careless_threshold, CARELESS, KEPT).astype(np.int8)
    many = rating_arrays.group_counts(listener, size) >= screening.straightline_min_ratings
    reason[many & rating_arrays.group_is_constant(listener, ratings.score, size)] = CONSTANT
    return reason


def careless_listeners(ratings: pd.DataFrame, screening: Screening) -> set[str]:
    """The ids of the listeners whom listener screening excludes, ratings being of one split."""
    numbers = rating_arrays.rating_arrays(ratings)
    probability = carelessness.careless_probabilities(numbers)
    return set(numbers.names[exclusion_reasons(numbers, probability, screening) != KEPT])


def drop_reasons(ratings: RatingArrays, screening: Screening) -> NDArray[np.int8]:
    """Why each rating of one split goes: an index of REASONS. (N,)

    With `both`, listeners come first: the ratings that nobody confirms are what gives a careless
    listener away, and those of two careless listeners may confirm each other by chance.
    """
    reason = np.zeros(len(ratings.score), dtype=np.int8)
    if screening.method in ("listener", "both"):
        probability = carelessness.careless_probabilities(ratings)
        reason = exclusion_reasons(ratings, probability, screening)[ratings.listener]
    if screening.method in ("rating", "both"):
        left = reason == KEPT
        confirmed = is_confirmed(ratings.where(left), screening.tolerance)
        reason[left] = np.where(confirmed, KEPT, ISOLATED)
    return reason


def drop_reasons_by_split(ratings: pd.DataFrame, screening: Screening) -> NDArray[np.int8]:
    """`reasons`, each split apart; the splits that are not screened stay whole. (N,)"""
    reason = np.zeros(len(ratings), dtype=np.int8)
    for split in screening.splits:
        rows = (ratings["split"] == split).to_numpy(dtype=np.bool_)
        reason[rows] = drop_reasons(rating_arrays.rating_arrays(ratings[rows]), screening)
    return reason


def kept_mask(ratings: pd.DataFrame, screening: Screening) -> NDArray[np.bool_]:
    """True where a rating stays. (N,)"""
    kept: NDArray[np.bool_] = drop_reasons_by_split(ratings, screening) == KEPT
    return kept


def screen_ratings(ratings: pd.DataFrame, screening: Screening) -> pd.DataFrame:
    """The trusted ratings, order and columns kept; LabelError if a split loses all of its own."""
    kept: pd.DataFrame = ratings[kept_mask(ratings, screening)]
    for split in screening.splits:
        if (ratings["split"] == split).any() and not (kept["split"] == split).any():
            reason = nothing_left_message(f"{split} ratings", screening)
            raise SoundjudgeError(f"{reason}: raise screen.tolerance or set screen.method to none")
    whole: pd.DataFrame = kept.reset_index(drop=True)
    return whole


def nothing_left_message(what: str, screening: Screening) -> str:
    """The sentence, without remedy, for an error."""
    if screening.method == "rating":
        return f"no two {what} of the same pair lie within {screening.tolerance:g} points"
    return f"method {screening.method} leaves none of the {what}"


def dropped_ratings(ratings: pd.DataFrame, screening: Screening) -> pd.DataFrame:
    """The other ratings, with the reason, and `pair_lost`: no rating of the pair is left."""
    reason = drop_reasons_by_split(ratings, screening)
    pair = rating_arrays.pair_codes(ratings)
    left = np.bincount(pair, weights=reason == KEPT)[pair] if len(pair) else reason
    table = ratings.assign(reason=np.array(REASONS, object)[reason], pair_lost=left == 0)
    gone: pd.DataFrame = table[reason != KEPT].reset_index(drop=True)
    return gone
