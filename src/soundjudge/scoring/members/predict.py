"""Members and pairs to raw scores: the one way of scoring that the pipeline and the judge share.

B pairs, K members, T samples at 16 kHz.
"""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.progress import ProgressReport, log_line
from soundjudge.scoring.members.encodings import Member
from soundjudge.scoring.members.pair_scorer import PairScorer, Progress
from soundjudge.scoring.members.windows import PredictionConfig
from soundjudge.scoring.members.windows import PredictionSection as PredictionSection

PROVENANCE = "checkpoint.json"


def raw_scores(
    members: Sequence[Member],
    waves: Sequence[NDArray[np.float32]],
    texts: Sequence[str],
    prediction: PredictionConfig,
    progress: Progress = lambda done, total: None,
) -> NDArray[np.float64]:
    """Each member's score of each pair, on its own scale near 0 to 10, not clipped: (B, K)."""
    return PairScorer(members).window_scores(waves, texts, prediction, progress).of_pairs()


def predict(
    member: Member, clips: ClipStore, pairs: pd.DataFrame, prediction: PredictionConfig
) -> pd.DataFrame:
    """A member's PREDICTIONS for a RATED table, in its order. Shows how far it is."""
    chunk = 64 * prediction.batch_size  # what is held in memory at once
    scores: list[NDArray[np.float64]] = []
    names, texts = list(pairs["wav_file_name"]), list(pairs["text"])
    with closing(ProgressReport("pairs", log_line)) as report:

        def show(start: int, count: int, done: int, total: int) -> None:
            report.update(start + count * done // total, len(names), lambda: "scored")

        for start in range(0, len(names), chunk):
            part = slice(start, start + chunk)
            waves = [clips.wave(tables.rated_clip_id(name)) for name in names[part]]
            progress = partial(show, start, len(waves))
            scores.append(raw_scores([member], waves, texts[part], prediction, progress)[:, 0])
    return pd.DataFrame(
        {
            "wav_file_name": names,
            "text": texts,
            "pred_score": np.concatenate(scores) if scores else np.empty(0),
        }
    )


def write_provenance(predictions: Path, checkpoint: Path) -> None:
    """Writes beside a member's predictions which checkpoint they are from."""
    artifacts.write_json(predictions / PROVENANCE, _provenance(checkpoint))


def check_provenance(predictions: Path, checkpoint: Path) -> None:
    """Raises SoundjudgeError unless the predictions are this checkpoint's as it is now."""
    stored = artifacts.read_json_object(predictions / PROVENANCE)
    if stored != _provenance(checkpoint):
        raise SoundjudgeError(
            f"{predictions} was predicted with another {stored.get('folder')} than {checkpoint} is "
            f"now: run the stage predict@{predictions.name} again"
        )


def _provenance(checkpoint: Path) -> dict[str, str]:
    return {"folder": checkpoint.as_posix(), "sha256": artifacts.sha256(checkpoint)}
