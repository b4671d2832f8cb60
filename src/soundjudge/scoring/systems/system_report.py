"""What a report says of systems on the same prompts: numbers, tests, what to listen to, flags."""

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from soundjudge.reporting.resampling import Estimate
from soundjudge.scoring.systems import system_statistics
from soundjudge.scoring.systems.system_scores import SystemScores
from soundjudge.scoring.systems.system_statistics import SystemDifference, SystemSummary

OF_TABLES = "pred_score of the tables"  # stands for the score id where no judge was asked


@dataclass(frozen=True, kw_only=True)
class ClapScores:
    """A CLAPScore of the same sounds, under its own name and on its own scale."""

    score_id: str
    means: dict[str, Estimate]  # by the names of the systems


@dataclass(frozen=True, kw_only=True)
class SystemReport:
    """All that the page shows and the JSON holds."""

    score_id: str
    note: str  # about the judge, such as that its ratings are simulated; "" for none
    prompts: Path
    scores: SystemScores
    summaries: list[SystemSummary]
    differences: list[SystemDifference]
    clap: ClapScores | None
    resamples: int
    seed: int

    def flag_counts(self) -> dict[str, list[int]]:
        """Flags that some sound has, with the number of such sounds per system."""
        counts: dict[str, list[int]] = {}
        for row in self.scores.flags:
            for system, flags in enumerate(row):
                for flag in flags:
                    counts.setdefault(flag, [0] * len(row))[system] += 1
        return dict(sorted(counts.items()))

    def to_listen(self, count: int) -> list[int]:
        """The first `count` prompts that each system lost, those with the widest range first."""
        rows = {row for summary in self.summaries for row in summary.lost[:count]}
        spread = self.scores.values.max(axis=1) - self.scores.values.min(axis=1)
        return sorted(rows, key=lambda row: (-spread[row], row))

    def table(self) -> pd.DataFrame:
        """A row per system, for a terminal."""
        rows = []
        for number, summary in enumerate(self.summaries):
            row = {"system": summary.name, **_columns("mean", summary.mean)}
            if len(self.summaries) > 1:
                row |= {"won_share": summary.won.value, "lost_prompts": len(summary.lost)}
            if self.clap is not None:
                row |= _columns("clap", self.clap.means[summary.name])
            flagged = sum(bool(flags[number]) for flags in self.scores.flags)
            rows.append(row | {"flagged": flagged})
        return pd.DataFrame(rows)

    def contents(self) -> dict[str, object]:
        """For JSON."""
        scores = self.scores
        return {
            "score_id": self.score_id,
            "note": self.note,
            "tie": system_statistics.TIE,
            "resamples": self.resamples,
            "seed": self.seed,
            "systems": [
                asdict(summary) | {"lost": [scores.ids[row] for row in summary.lost]}
                for summary in self.summaries
            ],
            "differences": [asdict(difference) for difference in self.differences],
            "flags": self.flag_counts(),
            "clap": None if self.clap is None else asdict(self.clap),
            "prompts": [
                {
                    "id": prompt,
                    "text": text,
                    "scores": dict(zip(scores.names, map(float, values), strict=True)),
                    "flags": {n: f for n, f in zip(scores.names, flags, strict=True) if f},
                }
                for prompt, text, values, flags in zip(
                    scores.ids, scores.texts, scores.values, scores.flags, strict=True
                )
            ],
            "left_out": [asdict(prompt) for prompt in scores.left_out],
            "ignored_sounds": scores.ignored,
        }


def report_systems(
    scores: SystemScores,
    prompts: Path,
    *,
    score_id: str,
    note: str,
    clap: tuple[str, SystemScores] | None = None,
    resamples: int,
    seed: int,
) -> SystemReport:
    """The report of these scores; `clap` is a score id with its scores of the same prompts.

    Raises SoundjudgeError for too few prompts.
    """
    clap_scores = None
    if clap is not None:
        means = {summary.name: summary.mean for summary in _summaries(clap[1], resamples, seed)}
        clap_scores = ClapScores(score_id=clap[0], means=means)
    return SystemReport(
        score_id=score_id,
        note=note,
        prompts=prompts,
        scores=scores,
        summaries=_summaries(scores, resamples, seed),
        differences=system_statistics.compare_systems(
            scores.names, scores.values, resamples=resamples, seed=seed
        ),
        clap=clap_scores,
        resamples=resamples,
        seed=seed,
    )


def _summaries(scores: SystemScores, resamples: int, seed: int) -> list[SystemSummary]:
    return system_statistics.summarize_systems(
        scores.names, scores.values, resamples=resamples, seed=seed
    )


def _columns(name: str, estimate: Estimate) -> dict[str, float | str | int]:
    return {name: estimate.value, f"{name}_lo": estimate.lo, f"{name}_hi": estimate.hi}
