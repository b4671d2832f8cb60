"""Reports on anyone's files: how well predictions agree with ratings, and whether two differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data.tables import spellings
from soundjudge.data.user_files.outputs import optional_output
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.files import rating_files
from soundjudge.labels.scales import Scale
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.evaluation import html_page, report, score_scales
from soundjudge.scoring.evaluation.reference_tables import PREDICTION, rename_reference
from soundjudge.scoring.evaluation.report import SystemEvaluation, evaluate_system
from soundjudge.scoring.evaluation.systems import EvaluationConfig, narrow_intervals
from soundjudge.scoring.files import prediction_files
from soundjudge.scoring.systems.system_files import system_names

OF_THESE_SCORES = (
    "intervals and p are over pairs, of these very scores: they hold nothing of the chance in a "
    "training, so that claims about two methods need several trainings of each"
)


@dataclass(frozen=True, kw_only=True)
class FileComparison:
    """Systems compared, and what their files make one doubt."""

    table: pd.DataFrame  # of `report.compare`; systems have their files' names
    other_scales: dict[str, str]  # a sentence on each system, or the reference, not on 0 to 10
    narrow_intervals: str  # a sentence where pairs share texts or generators; or ""


def evaluate_files(
    predictions: Path,
    reference: Path,
    ratings: Path | None,
    config: EvaluationConfig,
    *,
    scale: Scale | None = None,
    out: Path | None = None,
    page: Path | None = None,
    note: str = "",
    overwrite: bool = False,
) -> SystemEvaluation:
    """The numbers of `report.evaluate` and its slices, also as JSON in `out`, as HTML in `page`.

    `ratings` may hold further pairs, and be on another scale than 0-10. The `note` says where they
    come from, "" for listeners, and stands in both files.
    """
    inputs = [predictions, reference, ratings]
    with (
        optional_output(out, inputs, ".json", overwrite=overwrite) as numbers,
        optional_output(page, inputs, ".html", overwrite=overwrite) as html,
    ):
        pairs = prediction_files.read_reference(reference)
        evaluation = evaluate_system(
            _read_matching(predictions, pairs, reference),
            pairs,
            config,
            ratings=None if ratings is None else _read_ratings(ratings, pairs, scale),
            name=reference.name,
        )
        if html:
            _write_page(evaluation, html, predictions, reference, note)
        if numbers:
            noted = {"note": note} if note else {}
            slices = {"slices": artifacts.json_rows(evaluation.slices)}
            artifacts.write_json(numbers, noted | evaluation.numbers | slices)
    return evaluation


def compare_files(
    predictions: Sequence[Path],
    reference: Path,
    config: EvaluationConfig,
    *,
    out: Path | None = None,
    overwrite: bool = False,
) -> FileComparison:
    """The table of `report.compare` and the sentences about it, also as JSON in `out`."""
    inputs = [*predictions, reference]
    with optional_output(out, inputs, ".json", overwrite=overwrite) as target:
        pairs = prediction_files.read_reference(reference)
        systems = {
            name: _read_matching(path, pairs, reference)
            for name, path in zip(system_names(predictions), predictions, strict=True)
        }
        table = report.compare(
            systems,
            pairs,
            resamples=config.resamples,
            seed=config.seed,
            cluster=config.cluster,
        )
        remarks = _scale_remarks(systems, pairs)
        narrow = narrow_intervals(pairs, config.cluster)
        if target:
            remarks_by_key = {"mse_of_another_scale": remarks, "intervals_over_pairs": narrow}
            numbers: dict[str, object] = {"comparisons": artifacts.json_rows(table)}
            numbers |= {name: value for name, value in remarks_by_key.items() if value}
            artifacts.write_json(target, numbers)
    return FileComparison(table=table, other_scales=remarks, narrow_intervals=narrow)


def _scale_remarks(systems: Mapping[str, pd.DataFrame], pairs: pd.DataFrame) -> dict[str, str]:
    mean, remarks = rename_reference(pairs)["average_score"], {}
    for name, part in systems.items():
        if sentence := score_scales.prediction_remark(part[PREDICTION], mean):
            remarks[name] = sentence
        if sentence := score_scales.reference_remark(part[PREDICTION], mean):
            remarks["the reference"] = sentence
    return remarks


def _write_page(
    evaluation: SystemEvaluation, page: Path, predictions: Path, reference: Path, note: str
) -> None:
    numbers = evaluation.numbers
    if evaluation.split is None:
        raise SoundjudgeError(f"{reference}: {numbers['no_intervals']}, or no --report")
    title = f"{predictions.name} against {reference.name}"
    keys = {"MSE": "mse_of_another_scale", "Intervals over pairs": "intervals_over_pairs"}
    remark = ". ".join(f"{name}: {numbers[key]}" for name, key in keys.items() if key in numbers)
    html_page.write_page([evaluation.split], page, title=title, note=note, remark=remark)


def _read_matching(path: Path, pairs: pd.DataFrame, reference: Path) -> pd.DataFrame:
    """The predictions of a file that has the same pairs as the reference; errors name the files."""
    predictions = prediction_files.read_predictions(path)
    matching.match_pairs(predictions, pairs, str(path), str(reference))
    return predictions


def _read_ratings(path: Path, pairs: pd.DataFrame, scale: Scale | None) -> pd.DataFrame:
    """The ratings of the reference's clips; every clip must have some."""
    ratings = rating_files.read_ratings(path, scale, generators=True)
    unrated = pairs.loc[~pairs["wav_file_name"].isin(ratings["wav_file_name"]), "wav_file_name"]
    if not unrated.empty:
        other = spellings.other_spelling(unrated.iloc[0], ratings["wav_file_name"].unique())
        hint = "" if other is None else f", which it spells {other!r}: write both in one way"
        raise SoundjudgeError(
            f"{path} has no rating of {len(unrated)} clips of the reference, "
            f"the first is {unrated.iloc[0]}{hint}"
        )
    return ratings[ratings["wav_file_name"].isin(pairs["wav_file_name"])]
