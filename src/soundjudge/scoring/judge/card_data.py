"""The head of a judge's model card: what the hub reads, with metrics and intervals."""

from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from soundjudge.scoring.ensemble.ensemble import CROSSFITTED, ENSEMBLE
from soundjudge.scoring.judge.card import Packaging

TASK = "audio-classification"  # the hub's nearest: it has no task of audio, text and a number
# The hub's names of the metrics, by their keys in an evaluation.
METRICS = {"srcc": "spearmanr", "lcc": "pearsonr", "ktau": "kendalltau", "mse": "mse"}
SPLITS = ("validation", "test")


def card_data(packaging: Packaging, evaluation: Mapping[str, Any]) -> ModelCardData:
    """The head of the card; `evaluation` is metrics/details/evaluate.json, or empty.

    A metric's interval, its confidence and the number of pairs are arguments of the metric. On the
    split that the ensemble was fitted to, the metrics are those of its cross-fit.
    """
    results = list(_results(packaging, evaluation))
    return ModelCardData(
        license=packaging.license,
        library_name="soundjudge",
        pipeline_tag=TASK,
        language="en",
        tags=["audio", "text-to-audio", "evaluation"],
        datasets=list(packaging.datasets) or None,
        metrics=list(METRICS.values()) if results else None,
        model_name=packaging.name if results else None,
        eval_results=results or None,
    )


def _results(packaging: Packaging, evaluation: Mapping[str, Any]) -> Iterator[EvalResult]:
    note = evaluation.get("note")
    ratings = "listeners' ratings" + (f" ({note})" if note else "")
    for split in (name for name in SPLITS if name in evaluation):
        systems = evaluation[split]
        row = systems[CROSSFITTED if CROSSFITTED in systems else ENSEMBLE]
        for key, metric in METRICS.items():
            yield EvalResult(
                task_type=TASK,
                task_name="audio-text alignment",
                dataset_type=packaging.datasets[0] if packaging.datasets else packaging.name,
                dataset_name=ratings,
                dataset_split=split,
                metric_type=metric,
                metric_name=key.upper(),
                metric_value=row[key],
                metric_args={
                    "interval": [row[f"{key}_lo"], row[f"{key}_hi"]],
                    "confidence": evaluation["confidence"],
                    "pairs": row["pairs"],
                },
            )
