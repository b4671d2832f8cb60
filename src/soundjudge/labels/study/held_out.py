"""Correlations of targets with listeners who took no part in them.

Listeners are divided at random. The targets are made of the ratings of some, which are screened
among themselves; the others, whom no screening touches, give the mean ratings that the targets are
compared with. All candidates are compared on the same pairs: those that each screening keeps.

N = ratings, P = pairs, L = listeners, C = candidates, S = splits, R = resamples, M = pairs of a
split.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays, group_counts, group_means
from soundjudge.labels.ratings.screening import KEPT, drop_reasons
from soundjudge.labels.study.candidates import Candidate, target_scores
from soundjudge.ranges import LARGEST_BATCH, check_range
from soundjudge.reporting import resampling

MIN_LISTENERS, MIN_PAIRS = 6, 10  # of fewer there is no comparison, only chance


@dataclass(frozen=True, kw_only=True)
class Correlations:
    """SRCC and LCC of each candidate with the held-out mean: of each split, and resampled."""

    srcc: Floats  # (S, C)
    lcc: Floats  # (S, C)
    srcc_draws: Floats  # (S, R, C), over pairs; NaN where a resample is constant
    lcc_draws: Floats  # (S, R, C)
    pairs: Floats  # (S,) M
    share_lost: Floats  # (S, C) of the split's pairs that the screening loses
    share_dropped: Floats  # (S, C) of the ratings that it drops


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a study varies not: the rules of screening, and how targets are made."""

    screening: Screening
    standardization: Standardization


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """The size of a study, and its seed."""

    splits: int = 20
    held_out: float = 1 / 3  # share of the listeners
    resamples: int = 200  # of the pairs, for a variance
    seed: int = 0  # of splits and resamples
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_range(self, "splits", "resamples", least=2, most=LARGEST_BATCH)
        check_range(self, "held_out", "confidence", above=0, below=1)


def correlate_splits(
    ratings: RatingArrays,
    candidates: Sequence[Candidate],
    settings: Settings,
    config: StudyConfig,
) -> Correlations:
    """The correlations of all candidates in each of the random divisions of the listeners.

    The resamples of pairs are the same in all splits. Raises SoundjudgeError if there are too few
    listeners or pairs.
    """
    people = np.flatnonzero(group_counts(ratings.listener, ratings.num_listeners))
    if len(people) < MIN_LISTENERS:
        raise SoundjudgeError(
            f"a study holds out listeners and needs {MIN_LISTENERS} or more: there are "
            f"{len(people)}"
        )
    rng = np.random.default_rng(config.seed)
    count = min(max(round(config.held_out * len(people)), 1), len(people) - 2)
    parts = []
    for _ in range(config.splits):
        others = np.zeros(ratings.num_listeners, dtype=np.bool_)
        others[rng.choice(people, count, replace=False)] = True
        parts.append(_correlate(ratings, others, candidates, settings, config))
    return Correlations(**{name: np.stack([p[name] for p in parts]) for name in parts[0]})


def _correlate(
    ratings: RatingArrays,
    others: NDArray[np.bool_],
    candidates: Sequence[Candidate],
    settings: Settings,
    config: StudyConfig,
) -> dict[str, Floats]:
    """The fields of `Correlations` for one division; `others` (L,) are held out."""
    is_held_out = others[ratings.listener]
    own, reference = ratings.where(~is_held_out), ratings.where(is_held_out)
    rated = group_counts(own.pair, own.num_pairs) > 0
    rated &= group_counts(reference.pair, reference.num_pairs) > 0  # (P,)
    methods = dict.fromkeys(candidate.screening for candidate in candidates)
    rules = {m: replace(settings.screening, method=m) for m in methods}
    kept = {m: drop_reasons(own, rule) == KEPT for m, rule in rules.items()}  # (N,) each
    left = {m: group_counts(own.pair[rows], own.num_pairs) > 0 for m, rows in kept.items()}
    common = np.flatnonzero(np.logical_and.reduce([rated, *left.values()]))  # (M,)
    if len(common) < MIN_PAIRS:
        raise SoundjudgeError(
            f"only {len(common)} pairs have ratings of both parts of the listeners after each "
            f"screening, and a study needs {MIN_PAIRS}: it takes more listeners per pair"
        )
    columns = np.stack(
        [
            target_scores(own.where(kept[c.screening]), c.target, settings.standardization)[common]
            for c in candidates
        ],
        axis=1,
    )  # (M, C)
    mean = group_means(reference.pair, reference.score, reference.num_pairs)[common]
    srcc, lcc = _draws(columns, mean, common, ratings.num_pairs, config)
    lost = {m: 1 - np.mean(has[rated]) for m, has in left.items()}
    return {
        "srcc": srcc[0],
        "lcc": lcc[0],
        "srcc_draws": srcc[1:],
        "lcc_draws": lcc[1:],
        "pairs": np.array(float(len(common))),
        "share_lost": np.array([lost[c.screening] for c in candidates]),
        "share_dropped": np.array([1 - np.mean(kept[c.screening]) for c in candidates]),
    }


def _draws(
    columns: Floats, mean: Floats, rows: NDArray[np.intp], pairs: int, config: StudyConfig
) -> tuple[Floats, Floats]:
    """SRCC and LCC of columns (M, C) with the mean (M,): as they are, then resampled. 2 x (1+R, C)

    Pair `rows` (M,) of P `pairs` are resampled: the same pairs in every split.
    """
    ranked = [resampling.rank_column(column) for column in columns.T]
    reference = resampling.rank_column(mean)
    one = np.ones((len(rows), 1))
    srcc = [resampling.weighted_srcc(ranked, reference, one)]
    lcc = [resampling.weighted_lcc(columns, mean, one)]
    for counts in resampling.resample_weights(pairs, config.resamples, seed=config.seed):
        weights = np.ascontiguousarray(counts.T[rows], dtype=np.float64)  # (M, block)
        srcc.append(resampling.weighted_srcc(ranked, reference, weights))
        lcc.append(resampling.weighted_lcc(columns, mean, weights))
    return np.concatenate(srcc), np.concatenate(lcc)
