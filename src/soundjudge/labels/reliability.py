"""How far listeners agree, and how well a perfect judge could correlate with their mean.

The mean of k ratings is the pair's true value plus noise, so even the truth correlates with it by
no more than sqrt(reliability of the mean): the noise ceiling (Spearman 1904).

N = ratings, P = pairs, k = ratings of a pair (it may differ between pairs).
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge import correlations
from soundjudge.labels import listeners

# Random halvings to average over: their spread is then far below that of the pairs themselves.
HALVINGS = 100


class ReliabilityError(ValueError):
    """Ratings whose agreement cannot be measured."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far the raters of a table agree; 1 = always, 0 = as by chance."""

    icc: float  # of a single rating
    icc_mean: float  # of the mean rating
    alpha: float  # Krippendorff, interval


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """What a judge that knows the true value of every pair would reach, against the mean rating."""

    srcc: float
    lcc: float


def agreement(ratings: pd.DataFrame) -> Agreement:
    """ICC and alpha of a RATINGS table (one split)."""
    single = icc(ratings)
    return Agreement(
        icc=single, icc_mean=_stepped(single, _harmonic_count(ratings)), alpha=alpha(ratings)
    )


def icc(ratings: pd.DataFrame) -> float:
    """ICC(1,1) of Shrout and Fleiss 1979: one-way random effects, pairs of unequal k allowed."""
    pair, score = _columns(ratings)
    count = np.bincount(pair).astype(np.float64)  # (P,)
    between, within = _sums_of_squares(pair, score)
    pairs, total = len(count), len(score)
    mean_between = between / (pairs - 1)
    mean_within = within / (total - pairs)
    typical = (total - float(np.sum(count**2)) / total) / (pairs - 1)
    spread = mean_between + (typical - 1) * mean_within
    if spread <= 0:
        raise ReliabilityError("all ratings are equal: agreement cannot be measured")
    return (mean_between - mean_within) / spread


def alpha(ratings: pd.DataFrame) -> float:
    """Krippendorff's alpha for interval data; pairs with one rating say nothing: left out."""
    pair, score = _columns(ratings)
    several = np.bincount(pair)[pair] > 1
    pair, score = pair[several], score[several]
    count = np.bincount(pair)[pair]  # (N,)
    mean = (np.bincount(pair, weights=score) / np.maximum(np.bincount(pair), 1))[pair]
    total = len(score)
    observed = float(np.sum(2 * count / (count - 1) * (score - mean) ** 2)) / total
    expected = 2 * float(np.sum((score - score.mean()) ** 2)) / (total - 1)
    if expected == 0:
        raise ReliabilityError("all ratings are equal: agreement cannot be measured")
    return 1 - observed / expected


def split_half(
    ratings: pd.DataFrame,
    correlation: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    *,
    seed: int,
) -> float:
    """Reliability of the mean rating: each pair's raters in two random halves, correlated.

    Averaged over many halvings, stepped up to all raters (Spearman-Brown). Pairs with one rating
    are left out.
    """
    pair, score = _columns(ratings)
    several = np.bincount(pair)[pair] > 1
    order = np.argsort(pair[several], kind="stable")
    score = score[several][order]
    count = np.unique(pair[several], return_counts=True)[1]  # (P,)
    half = count // 2
    pair = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(pair)) - (np.cumsum(count) - count)[pair]  # of a rating within its pair
    first = place < half[pair]
    second = ~first & (place < 2 * half[pair])
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(HALVINGS):
        shuffled = score[np.lexsort((rng.random(len(pair)), pair))]  # within pairs
        halves = [
            np.bincount(pair[side], weights=shuffled[side]) / half for side in (first, second)
        ]  # 2 x (P,)
        try:
            found.append(correlation(halves[0], halves[1]))
        except ValueError as error:
            raise ReliabilityError(f"halves of the raters cannot be correlated: {error}") from error
    longer = _harmonic_count(ratings) / (len(half) / float(np.sum(1 / half)))
    return _stepped(float(np.mean(found)), longer)


def noise_ceiling(ratings: pd.DataFrame, *, seed: int) -> Ceiling:
    """The ceiling of both correlations for the ratings of one split.

    LCC by the ICC of the mean; SRCC by split halves with rank correlation, for which the
    attenuation formula holds nearly. Raises ReliabilityError if raters agree no better than chance.
    """
    rank = split_half(ratings, correlations.srcc, seed=seed)
    linear = _stepped(icc(ratings), _harmonic_count(ratings))
    if min(rank, linear) <= 0:
        raise ReliabilityError("raters agree no better than by chance: there is no noise ceiling")
    return Ceiling(srcc=rank**0.5, lcc=linear**0.5)


def before_and_after(
    ratings: pd.DataFrame, kept: pd.DataFrame, dropped: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """The numbers of screening, by split; agreement where it can be measured.

    Agreement must rise when disagreement is dropped: that alone proves nothing about the labels.
    """
    numbers: dict[str, dict[str, float]] = {}
    for split in sorted(set(ratings["split"])):
        before, after, gone = (part[part["split"] == split] for part in (ratings, kept, dropped))
        lost = gone[gone["pair_lost"]]
        numbers[split] = {
            "ratings": len(before),
            "ratings_dropped": len(gone),
            "share_dropped": len(gone) / len(before),
            "pairs": len(before.drop_duplicates(listeners.PAIR)),
            "pairs_lost": len(lost.drop_duplicates(listeners.PAIR)),
            "listeners": before["listener_id"].nunique(),
        }
        for name, part in (("before", before), ("after", after)):
            try:
                measured = dataclasses.asdict(agreement(part))
            except ReliabilityError:  # one rating a pair: the counts above already say so
                continue
            numbers[split] |= {f"{key}_{name}": value for key, value in measured.items()}
    return numbers


def _columns(ratings: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    pair = listeners.pair_numbers(ratings)
    if len(pair) == 0 or pair.max() == 0 or np.bincount(pair).max() < 2:
        raise ReliabilityError("agreement needs at least two pairs, and two ratings of one pair")
    return pair, ratings["score"].to_numpy(dtype=np.float64)


def _sums_of_squares(pair: NDArray[np.intp], score: NDArray[np.float64]) -> tuple[float, float]:
    mean = (np.bincount(pair, weights=score) / np.bincount(pair))[pair]  # (N,)
    return float(np.sum((mean - score.mean()) ** 2)), float(np.sum((score - mean) ** 2))


def _harmonic_count(ratings: pd.DataFrame) -> float:
    # A mean's noise goes with 1/k: its average over pairs is that of the harmonic mean of k.
    count = np.bincount(listeners.pair_numbers(ratings))
    return len(count) / float(np.sum(1 / count))


def _stepped(reliability: float, longer: float) -> float:
    """Spearman-Brown: reliability of a measure `longer` times as long; none stays none."""
    if reliability <= 0:
        return reliability
    return longer * reliability / (1 + (longer - 1) * reliability)
