"""A study of ratings: which screening and which target agree best with held-out listeners.

The standard error of a mean over splits is the larger of two: that for other pairs (a bootstrap
over pairs of the mean over splits, and the chance in the splits) and that for other listeners (the
variance over splits times 1 / S + h / (1 - h) with a share h held out, since splits share
listeners: Nadeau and Bengio 2003, "Inference for the generalization error", section 3.2). The noise
of single ratings is in both. t distribution with S - 1 degrees of freedom; the coverage is measured
in benchmarks/study_coverage.md.

C = candidates, S = splits, R = resamples.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from soundjudge.labels.ratings.config import Screening
from soundjudge.labels.ratings.panel import Panel, check_listeners, describe_panel
from soundjudge.labels.ratings.rating_arrays import Floats, RatingArrays
from soundjudge.labels.study.candidates import SCREENINGS, TARGETS, Candidate
from soundjudge.labels.study.held_out import Correlations, Settings, StudyConfig, correlate_splits
from soundjudge.reporting.resampling import holm
from soundjudge.runtime import artifacts

DEFAULT = Candidate(screening=Screening.method, target="latent")
EVERY = tuple(Candidate(screening=s, target=t) for s in SCREENINGS for t in TARGETS)
FEW_LISTENERS = 20  # with 24 the intervals hold, with 10 not always
INTERVALS = (
    "intervals hold for other pairs and other listeners of the same kind; p-values are corrected "
    "for the number of comparisons with the default (Holm)"
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """The comparison of all candidates with the default, and what follows from it."""

    panel: Panel
    config: StudyConfig
    table: pd.DataFrame
    """A row per candidate: screening, target; srcc, lcc, each with _lo and _hi; difference (of SRCC
    to the default) with _lo and _hi, p, p_holm; share_lost (of pairs), share_dropped (of ratings);
    pairs (mean over splits)."""
    default: Candidate
    chosen: Candidate
    verdict: str

    def notes(self) -> Iterator[str]:
        """What these ratings cannot show, a sentence each."""
        yield from self.panel.notes()
        if self.panel.listeners < FEW_LISTENERS:
            yield (
                f"{self.panel.listeners} listeners are few: where some are careless the intervals "
                "are too narrow (benchmarks/study_coverage.md)"
            )

    def as_json(self) -> dict[str, object]:
        """All of it for a JSON file."""
        return {
            "panel": asdict(self.panel),
            "notes": list(self.notes()),
            "study": asdict(self.config),
            "intervals": INTERVALS,
            "default": str(self.default),
            "chosen": str(self.chosen),
            "verdict": self.verdict,
            "candidates": artifacts.json_rows(self.table),
        }


def study_ratings(
    ratings: RatingArrays,
    settings: Settings,
    config: StudyConfig,
    *,
    candidates: Sequence[Candidate] = EVERY,
    default: Candidate = DEFAULT,
    where: str = "ratings",
) -> Study:
    """Compares candidates, of which the `default` is one, by held-out listeners.

    The default stays unless another is better by a difference that is significant after Holm's
    correction. Raises SoundjudgeError, which starts with `where`, for ratings without repeated
    listeners.
    """
    check_listeners(ratings, where)
    assert default in candidates, f"{default} is not among the candidates"
    correlations = correlate_splits(ratings, candidates, settings, config)
    table = _table(correlations, candidates, candidates.index(default), config)
    row = _best_row(table, candidates.index(default), 1 - config.confidence)
    return Study(
        panel=describe_panel(ratings),
        config=config,
        table=table,
        default=default,
        chosen=candidates[row],
        verdict=verdict_sentence(table, str(default), str(candidates[row])),
    )


def _best_row(table: pd.DataFrame, default: int, level: float) -> int:
    """The candidate with the largest significant gain, or the default."""
    gain = table["difference"].to_numpy()
    better = (table["p_holm"].to_numpy() < level) & (gain > 0)
    return int(np.where(better, gain, -np.inf).argmax()) if better.any() else default


def _table(
    correlations: Correlations, candidates: Sequence[Candidate], default: int, config: StudyConfig
) -> pd.DataFrame:
    columns: dict[str, object] = {
        "screening": [c.screening for c in candidates],
        "target": [c.target for c in candidates],
    }
    for name, points, draws in (
        ("srcc", correlations.srcc, correlations.srcc_draws),
        ("lcc", correlations.lcc, correlations.lcc_draws),
        (
            "difference",
            correlations.srcc - correlations.srcc[:, [default]],
            correlations.srcc_draws - correlations.srcc_draws[:, :, [default]],
        ),
    ):
        mean, error = points.mean(axis=0), standard_errors(points, draws, config.held_out)
        width = float(stats.t.ppf((1 + config.confidence) / 2, config.splits - 1)) * error
        columns |= {name: mean, f"{name}_lo": mean - width, f"{name}_hi": mean + width}
        if name == "difference":
            ratio = np.divide(np.abs(mean), error, out=np.zeros(len(mean)), where=error > 0)
            p = 2 * stats.t.sf(ratio, config.splits - 1)
            others = np.arange(len(candidates)) != default
            corrected = np.full(len(p), np.nan)
            corrected[others] = holm(list(p[others]))
            columns |= {"p": np.where(others, p, np.nan), "p_holm": corrected}
    columns |= {
        "share_lost": correlations.share_lost.mean(axis=0),
        "share_dropped": correlations.share_dropped.mean(axis=0),
        "pairs": np.full(len(candidates), correlations.pairs.mean()),
    }
    return pd.DataFrame(columns)


def standard_errors(points: Floats, draws: Floats, held_out: float) -> Floats:
    """Of the mean over splits of points (S, C), with draws (S, R, C) over pairs. (C,)"""
    over_splits = points.var(axis=0, ddof=1)
    other_pairs = np.nanvar(np.nanmean(draws, axis=0), axis=0, ddof=1) + over_splits / len(points)
    other_listeners = over_splits * (1 / len(points) + held_out / (1 - held_out))
    error: Floats = np.sqrt(np.maximum(other_pairs, other_listeners))
    return error


def verdict_sentence(table: pd.DataFrame, default: str, chosen: str) -> str:
    """One sentence; `default` and `chosen` are rows of `Study.table` as screening/target."""
    rows = {f"{row['screening']}/{row['target']}": row for row in table.to_dict("records")}
    before, after = rows[default], rows[chosen]
    if chosen != default:
        return (
            f"{_name(after)} agrees better with held-out listeners than the default, "
            f"{_name(before)}: SRCC {after['srcc']:.3f} against {before['srcc']:.3f}, a difference "
            f"of {_difference(after)}, p {after['p_holm']:.2g} after Holm"
        )
    others = {name: row for name, row in rows.items() if name != default}
    best = max(others.values(), key=lambda row: row["difference"])
    if best["difference"] > 0:
        return (
            f"no candidate is better than the default, {_name(before)} (SRCC {before['srcc']:.3f}),"
            f" by a difference that these ratings can show: it stays; the largest is that of "
            f"{_name(best)}, {_difference(best)}"
        )
    return (
        f"the default, {_name(before)} (SRCC {before['srcc']:.3f}), agrees best with held-out "
        f"listeners, and stays; next is {_name(best)}, {_difference(best)}"
    )


def _name(row: Mapping[Any, Any]) -> str:
    screening = "without screening" if row["screening"] == "none" else f"by {row['screening']}"
    return f"{row['target']} {screening}"


def _difference(row: Mapping[Any, Any]) -> str:
    return (
        f"{row['difference']:+.3f} [{row['difference_lo']:+.3f}, {row['difference_hi']:+.3f}] SRCC"
    )
