"""The public library of evaluation: one system's numbers, and tests between systems."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import pandas as pd

from soundjudge.errors import SoundjudgeError
from soundjudge.reporting import metrics, resampling
from soundjudge.scoring.evaluation import (
    evaluation,
    groups,
    reference_tables,
    score_scales,
    systems,
)
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.evaluation.systems import Cluster, EvaluationConfig, SystemComparison


def evaluate(
    predictions: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    ratings: pd.DataFrame | None = None,
    resamples: int = 2000,
    seed: int = 0,
    cluster: Cluster = "none",
) -> dict[str, float | str]:
    """Correlates predictions with mean ratings of the same pairs, in any order.

    Parameters
    ----------
    predictions : DataFrame
        wav_file_name, pred_score (any scale) and, where a clip has several texts, text.
    reference : DataFrame
        wav_file_name, average_score or mean_score (0 to 10), text as above and, where known, the
        generator of the clip, model_id.
    ratings : DataFrame, optional
        Single ratings of the same pairs: wav_file_name, text if pairs have texts, score (0 to 10).
        Their means must be the reference, to 0.05 points. Their model_id, if any, is taken where
        the reference has none.
    resamples : int
        Bootstrap resamples for the 95 % intervals; the noise ceiling takes the first 200.
    seed : int
        Of the bootstrap and of the ceiling's split halves.
    cluster : "none", "text", "model_id" or "both"
        What is resampled: pairs, or all pairs of a text, of a generator, or crosswise of both.
        Where pairs share these, 95 % intervals of pairs alone hold .76 to .94 of the time, those of
        20 or more clusters .91 to .95, of 6 clusters .80 to .90; both: .99
        (benchmarks/intervals.md).

    Returns
    -------
    dict
        srcc, lcc, ktau (-1 to 1), mse and the number of pairs; mse_bias, mse_slope and mse_rest,
        whose sum is mse; generator_srcc, within_generator_srcc and within_text_srcc where
        generators and texts allow (`groups.group_metrics`). With `ratings` also the noise ceiling:
        ceiling_{srcc,lcc,ktau} and floor_mse by split halves and, with the suffix _deconvolved, by
        a deconvolution, which holds where ratings pile up at an end of the scale;
        ceiling_share_srcc, ceiling_share_lcc and ceiling_share_srcc_deconvolved: srcc and lcc over
        those of the ceiling. Each number except pairs has its interval: _lo and _hi. What cannot be
        had is left out, and no_intervals or no_ceiling says why; mse_of_another_scale is a sentence
        with both ranges and the remedy, where all predictions lie within -1 to 1, half of them
        outside of 0 to 10, or one beyond 20; where 20 or more mean ratings all lie within 1 to 5,
        or within 0 to 1; or where 20 or more of either all lie within 0 to 5, and a tenth of the
        others above 5;
        intervals_over_pairs is one where cluster is none though two or more pairs share a text, or
        a generator, on average.

    Raises
    ------
    SoundjudgeError
        A column or a number is missing, tables hold different pairs, a vector is constant, the
        reference lies outside of 0 to 10 or differs from the ratings, or there is nothing to
        cluster by.

    Examples
    --------
    >>> clips = [f"{n}.wav" for n in range(12)]
    >>> predictions = pd.DataFrame({"wav_file_name": clips, "pred_score": [1, 3, 2, 4] * 3})
    >>> reference = pd.DataFrame({"wav_file_name": clips, "average_score": [1, 2, 3, 4] * 3})
    >>> round(evaluate(predictions, reference)["srcc"], 3)
    0.8
    """
    config = EvaluationConfig(resamples=resamples, seed=seed, cluster=cluster)
    return evaluate_system(predictions, reference, config, ratings=ratings).numbers


def compare(
    predictions: Mapping[str, pd.DataFrame],
    reference: pd.DataFrame,
    *,
    resamples: int = 2000,
    seed: int = 0,
    cluster: Cluster = "none",
) -> pd.DataFrame:
    """Tests whether systems differ in their agreement with the same mean ratings.

    Parameters
    ----------
    predictions : mapping of name to DataFrame
        Predictions of two or more systems, each as in `evaluate`.
    reference, resamples, seed, cluster
        As in `evaluate`.

    Returns
    -------
    DataFrame
        A row per metric (srcc, lcc, ktau, mse) and pair of systems: metric, first, second, their
        values value_first and value_second, difference (first minus second) with its 95 % interval
        difference_lo, difference_hi, two-sided p_bootstrap of that difference and, for lcc,
        p_williams (Williams 1959); p_bootstrap_holm and p_williams_holm are corrected for the
        number of pairs of systems (Holm 1979); the number of pairs, pairs.

    Raises
    ------
    SoundjudgeError
        As `evaluate`; there are fewer than 2 systems or 10 pairs.

    Examples
    --------
    >>> clips = [f"{n}.wav" for n in range(12)]
    >>> first = pd.DataFrame({"wav_file_name": clips, "pred_score": [1, 3, 2, 4] * 3})
    >>> second = pd.DataFrame({"wav_file_name": clips, "pred_score": [2, 1, 4, 3] * 3})
    >>> reference = pd.DataFrame({"wav_file_name": clips, "average_score": [1, 2, 3, 4] * 3})
    >>> round(float(compare({"a": first, "b": second}, reference)["difference"][0]), 3)
    0.2
    """
    config = EvaluationConfig(resamples=resamples, seed=seed, cluster=cluster)
    if len(predictions) < 2:
        raise SoundjudgeError("a comparison needs two or more systems")
    if reason := resampling.too_few_pairs(len(reference)):
        raise SoundjudgeError(reason)
    frame, columns = reference_tables.rename_reference(reference), {}
    for number, (name, table) in enumerate(predictions.items()):
        columns[name] = f"system {number}"  # a name may be that of another column
        frame = reference_tables.match_predictions(table, frame, f"the system {name}").rename(
            columns={reference_tables.PREDICTION: columns[name]}
        )
    comparison = systems.compare_systems(frame, list(columns.values()), config)
    tables = [_metric_differences(comparison, columns, metric) for metric in systems.METRICS]
    return pd.concat(tables, ignore_index=True)


def _metric_differences(
    comparison: SystemComparison, columns: Mapping[str, str], metric: str
) -> pd.DataFrame:
    """The rows of one metric, with corrected p."""
    reference = comparison.frame["average_score"]
    value = {
        n: getattr(metrics, metric)(comparison.frame[c], reference) for n, c in columns.items()
    }
    rows = [
        {
            "metric": metric,
            "first": a,
            "second": b,
            "value_first": value[a],
            "value_second": value[b],
        }
        | systems.metric_difference(comparison, columns[a], columns[b], metric)
        for a, b in combinations(columns, 2)
    ]
    table = pd.DataFrame(rows)
    for name in [str(column) for column in table if str(column).startswith("p_")]:
        table[f"{name}_holm"] = resampling.holm(list(table[name]))
    return table.assign(pairs=len(reference))


@dataclass(frozen=True, kw_only=True)
class SystemEvaluation:
    """A system on the pairs of a reference."""

    frame: pd.DataFrame  # the reference's rows with pred_score
    split: EvaluatedSplit | None  # None for fewer than resampling.MIN_PAIRS pairs

    @cached_property
    def numbers(self) -> dict[str, float | str]:
        """The numbers of `report.evaluate`."""
        score, rating = self.frame[PREDICTION], self.frame["average_score"]
        scale = score_scales.scale_remark(score, rating)
        remark: dict[str, float | str] = {"mse_of_another_scale": scale} if scale else {}
        if self.split is None:
            reason = resampling.too_few_pairs(len(rating))
            return {**metrics.correlation_metrics(score, rating), "no_intervals": reason, **remark}
        row: dict[str, float | str] = {**self.split.metrics[PREDICTION], **remark}
        if self.split.no_ceiling:
            row["no_ceiling"] = self.split.no_ceiling
        config = self.split.comparison.config
        if narrow := systems.narrow_intervals(self.frame, config.cluster):
            row["intervals_over_pairs"] = narrow
        return row | self.split.ceiling_metrics

    @cached_property
    def slices(self) -> pd.DataFrame:
        """The rows of `groups.slices`; none for fewer than resampling.MIN_PAIRS pairs."""
        if self.split is None:
            return pd.DataFrame()
        return groups.slices(self.split.comparison, PREDICTION)


def evaluate_system(
    predictions: pd.DataFrame,
    reference: pd.DataFrame,
    config: EvaluationConfig,
    *,
    ratings: pd.DataFrame | None = None,
    name: str = "",
) -> SystemEvaluation:
    """Matches the tables as `report.evaluate` does; `name` is that of the split on a page."""
    frame = reference_tables.match_predictions(
        predictions, reference_tables.rename_reference(reference), "the predictions"
    )
    if len(frame) < resampling.MIN_PAIRS:
        return SystemEvaluation(frame=frame, split=None)
    if ratings is not None:
        ratings = reference_tables.ratings_in_order(frame, ratings)
        frame = reference_tables.with_generators(frame, ratings)
    comparison = systems.compare_systems(frame, [PREDICTION], config)
    return SystemEvaluation(frame=frame, split=evaluation.with_ceilings(name, comparison, ratings))
