"""What the stage `evaluate` reports of each split: numbers, noise ceiling, differences, generators.

A system is a member or the ensemble; its column holds scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings.noise_ceiling import CeilingRange
from soundjudge.runtime import artifacts
from soundjudge.runtime.rounding import FLOAT_FORMAT
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.ensemble.ensemble import CROSSFITTED, ENSEMBLE
from soundjudge.scoring.ensemble.matching import PAIR
from soundjudge.scoring.evaluation import groups, systems
from soundjudge.scoring.evaluation.systems import EvaluationConfig, Numbers, SystemComparison

Row = dict[str, Any]  # of a table


@dataclass(frozen=True, kw_only=True)
class EvaluatedSplit:
    """A split's systems; their frame also has wav_file_name, text, model_id."""

    name: str
    comparison: SystemComparison
    ceilings: CeilingRange | None  # None where raters are too few or do not agree
    no_ceiling: str = ""  # why

    @cached_property
    def metrics(self) -> dict[str, Numbers]:
        """The numbers of each system, with shares of the ceiling, of generators and of texts."""
        rows = {}
        for system in self.comparison.systems:
            rows[system] = systems.metrics_with_intervals(self.comparison, system)
            if self.ceilings is not None:
                rows[system] |= systems.ceiling_shares(self.comparison, system, self.ceilings)
            rows[system] |= groups.group_metrics(self.comparison, system)
        return rows

    @cached_property
    def ceiling_metrics(self) -> Numbers:
        """The numbers of the ceilings with their intervals; none where there are no ceilings."""
        if self.ceilings is None:
            return {}
        return systems.ceiling_metrics(self.comparison, self.ceilings)

    @cached_property
    def differences(self) -> dict[str, Numbers]:
        """{member: srcc_difference and lcc_difference, the headline minus its own}.

        Without p-values: each member is one training, whose chance no resample of pairs holds.
        """
        rows: dict[str, Numbers] = {}
        for name in self.members:
            if name == self.headline:
                continue
            for metric in ("srcc", "lcc"):
                row = systems.metric_difference(self.comparison, self.headline, name, metric)
                named = {f"{metric}_{k}": v for k, v in row.items() if not k.startswith("p_")}
                rows.setdefault(name, {}).update(named)
        return rows

    @property
    def headline(self) -> str:
        """The ensemble's unbiased system: the cross-fitted one where the ensemble was fitted.

        The first system where there is no ensemble.
        """
        names = self.comparison.systems
        return next((name for name in (CROSSFITTED, ENSEMBLE) if name in names), names[0])

    @property
    def members(self) -> list[str]:
        """The systems that are no ensemble."""
        return [name for name in self.comparison.systems if name not in (ENSEMBLE, CROSSFITTED)]

    @property
    def best_member(self) -> str:
        """The member with the highest SRCC on this split."""
        return max(self.members, key=lambda name: self.metrics[name]["srcc"])

    @property
    def member_correlations(self) -> NDArray[np.float64]:
        """SRCC (M, M) between the members."""
        scores = self.comparison.frame[self.members].to_numpy(dtype=np.float64)
        agreement = np.corrcoef(stats.rankdata(scores, axis=0), rowvar=False)
        return agreement.reshape(len(self.members), -1)

    @cached_property
    def slices(self) -> dict[str, list[Row]]:
        """Rows of `groups.slices`, without empty cells, of the headline and of the best member."""
        names = dict.fromkeys((self.headline, self.best_member))
        return {n: artifacts.json_rows(groups.slices(self.comparison, n)) for n in names}


def evaluate_split(
    scores: pd.DataFrame, ratings: pd.DataFrame, config: EvaluationConfig
) -> EvaluatedSplit:
    """Joins `scores` (wav_file_name, text, a column per system) with the RATINGS of one split."""
    (name,) = set(ratings["split"])
    pairs = ratings.groupby(PAIR, sort=False).agg(
        average_score=("score", "mean"), model_id=("model_id", "first")
    )
    frame = matching.match_pairs(
        scores, pairs.reset_index(), f"the predictions of {name}", f"the ratings of {name}"
    )
    names = [str(column) for column in scores if column not in PAIR]
    return with_ceilings(name, systems.compare_systems(frame, names, config), ratings)


def with_ceilings(
    name: str, comparison: SystemComparison, ratings: pd.DataFrame | None
) -> EvaluatedSplit:
    """The split of a comparison; the noise ceilings of its ratings, if they allow any."""
    ceilings, reason = None, ""
    if ratings is not None:
        try:
            ceilings = systems.ceilings(comparison, ratings)
        except ReliabilityError as error:
            reason = str(error)
    return EvaluatedSplit(name=name, comparison=comparison, ceilings=ceilings, no_ceiling=reason)


def evaluation_results(splits: Sequence[EvaluatedSplit], note: str) -> dict[str, object]:
    """{split: {system: numbers, ceiling, difference: {member: ...}, slices: [...]}}, the note.

    `confidence` is that of all intervals.
    """
    results: dict[str, object] = {"note": note}
    for split in splits:
        results["confidence"] = split.comparison.config.confidence
        ceiling = {"ceiling": split.ceiling_metrics} if split.ceiling_metrics else {}
        results[split.name] = (
            split.metrics
            | ceiling
            | {"difference": split.differences, "slices": split.slices[split.headline]}
        )
    return results


def headline_metrics(splits: Sequence[EvaluatedSplit], note: str) -> dict[str, object]:
    """{split: srcc, lcc, mse of its headline and srcc of each member}, and the note."""
    results: dict[str, object] = {"note": note}
    for split in splits:
        rows, headline = split.metrics, split.headline
        results[split.name] = {
            f"{headline}_{name}": rows[headline][name] for name in ("srcc", "lcc", "mse")
        } | {f"{member}_srcc": rows[member]["srcc"] for member in split.members}
    return results


def generator_means(split: EvaluatedSplit) -> pd.DataFrame:
    """Mean rating and mean score of every system: a row per generator (model_id), if any."""
    frame = split.comparison.frame
    grouped = frame[frame["model_id"].notna()].groupby("model_id", sort=True)
    table = grouped[["average_score", *split.comparison.systems]].mean()
    table.insert(0, "pairs", grouped.size())
    table = table.reset_index()
    table.insert(0, "split", split.name)
    return table


def write_generators(splits: Sequence[EvaluatedSplit], note: str, path: Path) -> None:
    """Writes the rows of `generator_means`; a header alone where ratings name no generator."""
    table = pd.concat([generator_means(split) for split in splits], ignore_index=True)
    with artifacts.atomic_file(path) as temporary:
        table = table.assign(note=note)
        table.to_csv(temporary, index=False, lineterminator="\n", float_format=FLOAT_FORMAT)
