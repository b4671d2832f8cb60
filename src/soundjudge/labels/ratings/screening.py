"""Screening: isolated ratings, careless and straightlining listeners are dropped.

By ratings (SPO-CLAPScore, arXiv 2601.02900, as in its published code): a rating is kept if and only
if another rating of the same sound lies within the tolerance, ends included. By listeners (as that
paper describes): a listener is dropped whose ratings are all equal, or who is careless with a
probability above a threshold (`carelessness`).

Does a second screening change nothing? By ratings it does not: closeness is mutual, so a rating
that is kept keeps its partner. By listeners it may: without the dropped ones, the fraction of
careless listeners and the others' means are other estimates. By both it may: a listener who rates
5, 5, 5, 5, 5, 5, 5, 5 and once 10, where all others rate 4 or less, is not constant; the 10 is
isolated and dropped, and then the listener is constant.

N = ratings, L = listeners. Scores are 0 to 10.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import Table
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import carelessness, rating_arrays
from soundjudge.labels.ratings.config import Screening
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays

DROPPED = Table(
    name="dropped",
    columns={**tables.RATINGS.columns, "reason": "str", "pair_lost": "bool"},
    key=tables.RATINGS.key,
    nullable=tables.RATINGS.nullable,
)
REASONS = ("kept", "isolated", "careless", "straightlining")
KEPT, ISOLATED, CARELESS, STRAIGHTLINING = range(4)
UNITS_PER_POINT = 1_000_000  # of ratings and tolerance: 6.3 - 1.3 is 5 exactly


def is_confirmed(ratings: RatingArrays, tolerance: float) -> NDArray[np.bool_]:
    """True where at least one other rating of the same pair lies within `tolerance` points. (N,)

    The nearest other rating of a pair is a neighbor in sorted order, so neighbors decide. Pairs
    are laid end to end on one line of whole numbers, further apart than the tolerance.
    """
    confirmed = np.zeros(len(ratings.score), dtype=np.bool_)
    if len(confirmed) < 2:
        return confirmed
    position = np.rint(ratings.score.astype(np.float64) * UNITS_PER_POINT).astype(np.int64)
    lowest, highest = int(position.min()), int(position.max())
    reach = min(round(tolerance * UNITS_PER_POINT), highest - lowest)
    position += ratings.pair.astype(np.int64) * (highest - lowest + reach + 1)
    order = np.argsort(position)
    close = np.diff(position[order]) <= reach  # (N-1,)
    confirmed[order[:-1]] = close
    confirmed[order[1:]] |= close
    return confirmed


def exclusion_reasons(
    ratings: RatingArrays, probability: Floats, rules: Screening
) -> NDArray[np.int8]:
    """KEPT, CARELESS or STRAIGHTLINING for each listener, given their `carelessness`. (L,) -> (L,)

    Many equal ratings carry no information about the pairs, even where they happen to be right.
    """
    listener, size = ratings.listener, ratings.num_listeners
    reason = np.where(probability > rules.careless_threshold, CARELESS, KEPT).astype(np.int8)
    many = rating_arrays.group_counts(listener, size) >= rules.straightline_min_ratings
    reason[many & rating_arrays.group_is_constant(listener, ratings.score, size)] = STRAIGHTLINING
    return reason


def drop_reasons(ratings: RatingArrays, rules: Screening) -> NDArray[np.int8]:
    """The reason of each rating of one split: an index of REASONS. (N,)

    With `both`, listeners come first: isolated ratings are the evidence of a careless listener, and
    those of two careless listeners may confirm each other by chance.
    """
    reason = np.zeros(len(ratings.score), dtype=np.int8)
    if rules.method in ("listener", "both"):
        probability = carelessness.careless_probabilities(ratings)
        reason = exclusion_reasons(ratings, probability, rules)[ratings.listener]
    if rules.method in ("rating", "both"):
        remaining = reason == KEPT
        confirmed = is_confirmed(ratings.where(remaining), rules.tolerance)
        reason[remaining] = np.where(confirmed, KEPT, ISOLATED)
    return reason


def kept_rows(ratings: RatingArrays, rules: Screening, where: str) -> NDArray[np.bool_]:
    """True where a rating is kept; SoundjudgeError, which starts with `where`, if none is. (N,)"""
    kept: NDArray[np.bool_] = drop_reasons(ratings, rules) == KEPT
    if not kept.any():
        reason = _explain_empty("ratings", rules)
        raise SoundjudgeError(f"{where}: {reason}: raise the tolerance or choose another method")
    return kept


def drop_reasons_by_split(ratings: pd.DataFrame, rules: Screening) -> NDArray[np.int8]:
    """`drop_reasons` of each split separately; splits that are not screened are kept. (N,)"""
    reason = np.zeros(len(ratings), dtype=np.int8)
    for split in rules.splits:
        rows = (ratings["split"] == split).to_numpy(dtype=np.bool_)
        reason[rows] = drop_reasons(rating_arrays.rating_arrays(ratings[rows]), rules)
    return reason


def screen_ratings(ratings: pd.DataFrame, rules: Screening) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trusted ratings, in the same order, and a DROPPED table of the others.

    `pair_lost` is true where no rating of the pair is kept. SoundjudgeError if a split loses all of
    its own.
    """
    reason = drop_reasons_by_split(ratings, rules)
    is_kept = reason == KEPT
    for split in rules.splits:
        rows = (ratings["split"] == split).to_numpy(dtype=np.bool_)
        if rows.any() and not is_kept[rows].any():
            sentence = _explain_empty(f"{split} ratings", rules)
            raise SoundjudgeError(
                f"{sentence}: raise screen.tolerance or set screen.method to none"
            )
    pair = rating_arrays.pair_codes(ratings)
    lost = np.bincount(pair, weights=is_kept)[pair] == 0 if len(pair) else is_kept
    dropped = ratings.assign(reason=np.array(REASONS, object)[reason], pair_lost=lost)[~is_kept]
    return ratings[is_kept].reset_index(drop=True), dropped.reset_index(drop=True)


def _explain_empty(what: str, rules: Screening) -> str:
    if rules.method == "rating":
        return f"no two {what} of the same pair lie within {rules.tolerance:g} points"
    return f"method {rules.method} leaves none of the {what}"
