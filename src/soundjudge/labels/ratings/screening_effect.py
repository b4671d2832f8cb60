"""What screening did: counts and agreement of every split, before and after.

Agreement must rise when disagreement is dropped: by itself that proves nothing about the labels.
"""

import dataclasses

import pandas as pd

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import rating_arrays, reliability, screening
from soundjudge.reporting import metrics

# The average over many halvings hardly depends on it.
SEED = 0

Numbers = dict[str, float]


def compare_screening(
    ratings: pd.DataFrame, kept: pd.DataFrame, dropped: pd.DataFrame
) -> dict[str, Numbers]:
    """{split: flat numbers}, from the RATINGS, those kept and the DROPPED ones.

    How many ratings, pairs and listeners there are and go; with _before and _after: icc, icc_mean,
    alpha, split_half, ceiling_{srcc,lcc,ktau} and floor_mse (`reliability`), where they can be
    measured.
    """
    numbers = {}
    for split in sorted(set(ratings["split"])):
        before, after, gone = (part[part["split"] == split] for part in (ratings, kept, dropped))
        measured = rater_agreement(before)
        again = rater_agreement(after) if len(gone) else measured
        numbers[split] = (
            _counts(before, gone)
            | {f"{name}_before": value for name, value in measured.items()}
            | {f"{name}_after": value for name, value in again.items()}
        )
    return numbers


def rater_agreement(ratings: pd.DataFrame) -> Numbers:
    """How far the raters of one split agree; without what these ratings cannot tell."""
    numbers: Numbers = {}
    try:
        numbers |= dataclasses.asdict(reliability.agreement(ratings))
        numbers["split_half"] = reliability.split_half(ratings, metrics.lcc, seed=SEED)
        ceiling = reliability.noise_ceiling(ratings, seed=SEED)
    except ReliabilityError:  # one rating a pair, or chance: the counts say the rest
        return numbers
    numbers |= {f"ceiling_{name}": getattr(ceiling, name) for name in ("srcc", "lcc", "ktau")}
    return numbers | {"floor_mse": ceiling.mse}


def _counts(before: pd.DataFrame, gone: pd.DataFrame) -> Numbers:
    excluded = gone[gone["reason"] != screening.REASONS[screening.ISOLATED]]
    counts: Numbers = {
        "ratings": len(before),
        "ratings_dropped": len(gone),
        "share_dropped": len(gone) / len(before),
        "pairs": _pairs(before),
        "pairs_lost": _pairs(gone[gone["pair_lost"]]),
        "listeners": before["listener_id"].nunique(),
        "listeners_dropped": excluded["listener_id"].nunique(),
    }
    for reason in screening.REASONS[1:]:
        counts[f"ratings_{reason}"] = int((gone["reason"] == reason).sum())
    return counts


def _pairs(ratings: pd.DataFrame) -> int:
    return int(rating_arrays.pair_codes(ratings).max()) + 1 if len(ratings) else 0
