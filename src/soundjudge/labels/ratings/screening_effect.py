"""The effect of screening: counts and agreement of every split, before and after.

Agreement must rise when disagreement is dropped: by itself that proves nothing about the labels.
"""

import pandas as pd

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import rating_arrays, reliability, screening

SEED = 0  # of the halves: the average over many hardly depends on it

Metrics = dict[str, float]


def compare_screening(
    ratings: pd.DataFrame, kept: pd.DataFrame, dropped: pd.DataFrame
) -> dict[str, Metrics]:
    """The metrics of each split, from the RATINGS, those kept and the DROPPED ones.

    Numbers of ratings, pairs and listeners, all and dropped; with _before and _after: icc,
    icc_mean, alpha, split_half, ceiling_{srcc,lcc,ktau} and floor_mse (`reliability`), where they
    can be measured.
    """
    metrics_by_split = {}
    for split in sorted(set(ratings["split"])):
        before, after, removed = (part[part["split"] == split] for part in (ratings, kept, dropped))
        agreement_before = rater_agreement(before)
        agreement_after = rater_agreement(after) if len(removed) else agreement_before
        metrics_by_split[split] = (
            _counts(before, removed)
            | {f"{name}_before": value for name, value in agreement_before.items()}
            | {f"{name}_after": value for name, value in agreement_after.items()}
        )
    return metrics_by_split


def rater_agreement(ratings: pd.DataFrame) -> Metrics:
    """The agreement of the raters of one split, without what these ratings cannot show."""
    values: Metrics = {}
    try:
        values |= reliability.agreement(ratings)
        values["split_half"] = reliability.split_half(ratings, reliability.linear, seed=SEED)
        ceiling = reliability.noise_ceiling(ratings, seed=SEED)
    except ReliabilityError:  # one rating per pair, or agreement by chance
        return values
    values |= {f"ceiling_{name}": getattr(ceiling, name) for name in ("srcc", "lcc", "ktau")}
    return values | {"floor_mse": ceiling.mse}


def _counts(before: pd.DataFrame, removed: pd.DataFrame) -> Metrics:
    excluded = removed[removed["reason"] != screening.REASONS[screening.ISOLATED]]
    counts: Metrics = {
        "ratings": len(before),
        "ratings_dropped": len(removed),
        "share_dropped": len(removed) / len(before),
        "pairs": _count_pairs(before),
        "pairs_lost": _count_pairs(removed[removed["pair_lost"]]),
        "listeners": before["listener_id"].nunique(),
        "listeners_dropped": excluded["listener_id"].nunique(),
    }
    for reason in screening.REASONS[1:]:
        counts[f"ratings_{reason}"] = int((removed["reason"] == reason).sum())
    return counts


def _count_pairs(ratings: pd.DataFrame) -> int:
    return int(rating_arrays.pair_codes(ratings).max()) + 1 if len(ratings) else 0
