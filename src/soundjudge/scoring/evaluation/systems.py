"""Systems against mean ratings: their numbers with intervals, and the difference of two.

A system is a column of scores. N = pairs, K = systems, R = resamples.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import noise_ceiling
from soundjudge.labels.ratings.noise_ceiling import CeilingRange
from soundjudge.reporting import metrics, resampling
from soundjudge.reporting.resampling import Estimate
from soundjudge.scoring.evaluation import significance
from soundjudge.scoring.evaluation.significance import BootstrapDraws

CONFIDENCE = 0.95  # of intervals
CEILING_RESAMPLES = 200  # of the noise ceiling: each refits it
MIN_CLUSTERS = 6  # of so many an interval holds in .80 to .90 of cases, of two it is narrower
METRICS = ("srcc", "lcc", "ktau", "mse")

Cluster = Literal["none", "text", "model_id", "both"]
Numbers = dict[str, float]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Bootstrap of the intervals and tests; section `evaluate`."""

    resamples: int  # of pairs
    seed: int  # of the resamples, and of the noise ceiling's split halves
    confidence: float = CONFIDENCE  # of every interval
    cluster: Cluster = "none"  # resampled as wholes: text, model_id or both; none = pairs

    def __post_init__(self) -> None:
        if not 10 <= self.resamples <= 1_000_000:  # a few have no interval
            raise SoundjudgeError(
                f"resamples is {self.resamples}: choose 10 to 1000000, 2000 are usual"
            )
        if not 0.5 <= self.confidence <= 0.999:  # rarer ends no resample shows
            raise SoundjudgeError(f"confidence is {self.confidence}: choose 0.5 to 0.999")


@dataclass(frozen=True, kw_only=True)
class SystemComparison:
    """Systems beside the mean ratings of the same pairs."""

    frame: pd.DataFrame  # average_score, a column per system, and any others
    systems: tuple[str, ...]
    draws: BootstrapDraws  # (R, K)
    config: EvaluationConfig

    def blocks(self, resamples: int | None = None) -> Iterator[NDArray[np.int64]]:
        """The weights (rows, N) of the draws, or of the first `resamples` of them."""
        return resampling.resample_weights(
            len(self.frame),
            min(self.config.resamples, resamples or self.config.resamples),
            seed=self.config.seed,
            clusters=cluster_codes(self.frame, self.config.cluster),
        )

    def interval(self, name: str, draws: Values, value: float | None = None) -> Numbers:
        """`name`_lo and `name`_hi of draws (R,); `value`: see `resampling.interval`."""
        low, high = resampling.interval(draws, self.config.confidence, value)
        return {f"{name}_lo": low, f"{name}_hi": high}


def compare_systems(
    frame: pd.DataFrame, systems: Sequence[str], config: EvaluationConfig
) -> SystemComparison:
    """The systems (columns of `frame`) with their bootstrap, of pairs or of whole clusters."""
    draws = significance.bootstrap(
        frame[list(systems)].to_numpy(dtype=np.float64),
        frame["average_score"].to_numpy(dtype=np.float64),
        resamples=config.resamples,
        seed=config.seed,
        clusters=cluster_codes(frame, config.cluster),
    )
    return SystemComparison(frame=frame, systems=tuple(systems), draws=draws, config=config)


def cluster_codes(frame: pd.DataFrame, cluster: Cluster) -> list[NDArray[np.int32]]:
    """The code of each pair's text, generator or both. (N,) each"""
    if cluster not in get_args(Cluster):
        raise SoundjudgeError(f"cluster is {cluster}: choose {', '.join(get_args(Cluster))}")
    names = {"none": [], "both": ["text", "model_id"]}.get(cluster, [cluster])
    codes = []
    for name in names:
        if name not in frame or frame[name].isna().any():
            raise SoundjudgeError(
                f"cluster is {cluster}: give every row of the reference its {name}"
            )
        codes.append(pd.factorize(frame[name])[0].astype(np.int32))
        if (count := int(codes[-1].max()) + 1) < MIN_CLUSTERS:
            raise SoundjudgeError(
                f"cluster is {cluster}: the pairs have {count} different {name}, and an interval "
                f"needs {MIN_CLUSTERS} or more: choose none"
            )
    return codes


def narrow_intervals(frame: pd.DataFrame, cluster: Cluster) -> str:
    """A sentence where pairs are resampled one by one though many share a text or a generator."""
    shared = [
        name
        for name in ("text", "model_id")
        if name in frame
        and frame[name].notna().all()
        and MIN_CLUSTERS <= frame[name].nunique() <= len(frame) / 2
    ]
    if cluster != "none" or not shared:
        return ""
    choice = "both" if len(shared) > 1 else shared[0]
    return (
        f"too narrow, as pairs share their {' and '.join(shared)}: choose --cluster {choice} "
        "(cluster= in Python)"
    )


def metrics_with_intervals(comparison: SystemComparison, system: str) -> Numbers:
    """n; srcc, lcc, ktau, mse and its parts (`BootstrapDraws`), each with _lo and _hi."""
    frame, k = comparison.frame, comparison.systems.index(system)
    row = metrics.correlation_metrics(frame[system], frame["average_score"])
    row |= _error_parts(frame[system].to_numpy(), frame["average_score"].to_numpy())
    for field in fields(BootstrapDraws):
        row |= comparison.interval(field.name, getattr(comparison.draws, field.name)[:, k])
    return row


def metric_difference(
    comparison: SystemComparison, system: str, other: str, metric: str = "srcc"
) -> Numbers:
    """The metric of `system` minus that of `other`, with its interval and the p of this difference.

    p_bootstrap for every metric; for lcc also p_williams (Williams 1959), which knows no clusters.
    """
    frame, reference = comparison.frame, comparison.frame["average_score"]
    function, draws = getattr(metrics, metric), getattr(comparison.draws, metric)
    first, second = (comparison.systems.index(name) for name in (system, other))
    differences = draws[:, first] - draws[:, second]
    values = [function(frame[name], reference) for name in (system, other)]
    row = {"difference": values[0] - values[1]}
    row |= comparison.interval("difference", differences)
    row["p_bootstrap"] = significance.p_value(differences)
    if metric == "lcc":
        between = metrics.lcc(frame[system], frame[other])
        row["p_williams"] = significance.williams(values[0], values[1], between, len(frame))
    return row


def ceilings(comparison: SystemComparison, ratings: pd.DataFrame) -> CeilingRange:
    """Both noise ceilings on the same resamples; the pairs of both in one order.

    Raises ReliabilityError where raters are too few or do not agree.
    """
    resamples = min(comparison.config.resamples, CEILING_RESAMPLES)
    weights = np.concatenate([*comparison.blocks(resamples)]).astype(np.float64)  # (R, N)
    return noise_ceiling.ceiling_range(ratings, weights, seed=comparison.config.seed)


def ceiling_metrics(comparison: SystemComparison, ceiling: CeilingRange) -> Numbers:
    """The numbers of `CeilingRange`, each with its interval."""
    row: Numbers = {}
    for name, value, draws in ceiling.numbers():
        row |= {name: value} | comparison.interval(name, draws, value)
    return row


def ceiling_shares(comparison: SystemComparison, system: str, ceiling: CeilingRange) -> Numbers:
    """SRCC and LCC over those of the ceiling, with intervals; 1 = as a perfect judge.

    ceiling_share_srcc, ceiling_share_lcc, and ceiling_share_srcc_deconvolved of the other estimate.
    """
    frame, k = comparison.frame, comparison.systems.index(system)
    row: Numbers = {}
    for metric, suffix, point, draws in (
        ("srcc", "", ceiling.classical, ceiling.classical_draws),
        ("lcc", "", ceiling.classical, ceiling.classical_draws),
        ("srcc", "_deconvolved", ceiling.deconvolved, ceiling.deconvolved_draws),
    ):
        key = f"ceiling_share_{metric}{suffix}"
        own = getattr(metrics, metric)(frame[system], frame["average_score"])
        row[key] = own / getattr(point, metric)
        of_ceiling = draws[:, noise_ceiling.METRICS.index(metric)]
        of_system = getattr(comparison.draws, metric)[: len(of_ceiling), k]
        row |= comparison.interval(key, of_system / of_ceiling, row[key])
    return row


def estimate(numbers: Mapping[str, float], key: str) -> Estimate:
    """The number `key` of `numbers` with its _lo and _hi."""
    return Estimate(value=numbers[key], lo=numbers[f"{key}_lo"], hi=numbers[f"{key}_hi"])


def _error_parts(score: Values, rating: Values) -> Numbers:
    r, spread, of_rating = metrics.lcc(score, rating), float(np.std(score)), float(np.std(rating))
    return {
        "mse_bias": float(np.mean(score) - np.mean(rating)) ** 2,
        "mse_slope": (spread - r * of_rating) ** 2,
        "mse_rest": (1 - r**2) * of_rating**2,
    }
