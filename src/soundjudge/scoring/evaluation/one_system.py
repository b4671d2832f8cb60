"""One system's predictions against mean ratings: its numbers, its slices, and what a page shows."""

from dataclasses import asdict, dataclass
from functools import cached_property

import pandas as pd

from soundjudge.reporting import metrics
from soundjudge.scoring.evaluation import evaluation, groups, reference_tables, systems
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.evaluation.systems import Cluster


@dataclass(frozen=True, kw_only=True)
class SystemEvaluation:
    """A system on the pairs of a reference."""

    frame: pd.DataFrame  # the reference's rows with pred_score
    split: EvaluatedSplit | None  # None for fewer than systems.MIN_PAIRS pairs

    @cached_property
    def numbers(self) -> dict[str, float | str]:
        """The numbers of `report.evaluate`."""
        score, rating = self.frame[PREDICTION], self.frame["average_score"]
        row: dict[str, float | str] = {}
        if self.split is None:
            reason = f"{len(rating)} pairs are too few: give {systems.MIN_PAIRS} or more"
            row |= asdict(metrics.correlation_metrics(score, rating)) | {"no_intervals": reason}
        else:
            row |= self.split.metrics[PREDICTION]
        scale = reference_tables.other_scale(score, rating)
        if scale is not None:
            row |= {"mse_of_another_scale": scale}
        if self.split is None:
            return row
        if self.split.no_ceiling:
            row |= {"no_ceiling": self.split.no_ceiling}
        if self.split.ceilings is not None:
            row |= systems.ceiling_metrics(self.split.comparison, self.split.ceilings)
        return row

    @cached_property
    def slices(self) -> pd.DataFrame:
        """The rows of `groups.slices`; none for fewer than systems.MIN_PAIRS pairs."""
        if self.split is None:
            return pd.DataFrame()
        return groups.slices(self.split.comparison, PREDICTION)


def evaluate_system(
    predictions: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    ratings: pd.DataFrame | None = None,
    resamples: int,
    seed: int,
    cluster: Cluster = "none",
    name: str = "",
) -> SystemEvaluation:
    """Matches the tables as `report.evaluate` does; `name` is that of the split on a page."""
    frame = reference_tables.match_predictions(
        predictions, reference_tables.rename_reference(reference), "the predictions"
    )
    if len(frame) < systems.MIN_PAIRS:
        return SystemEvaluation(frame=frame, split=None)
    comparison = systems.compare_systems(
        frame, [PREDICTION], resamples=resamples, seed=seed, cluster=cluster
    )
    if ratings is not None:
        ratings = reference_tables.ratings_in_order(comparison.frame, ratings)
    return SystemEvaluation(frame=frame, split=evaluation.with_ceilings(name, comparison, ratings))
