"""Members and pairs to raw scores: the one way of scoring that the pipeline and the judge share.

A sound longer than the window is cut into consecutive windows, whose scores are averaged by length.

B pairs, K members, T samples at 16 kHz.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.members.members import Member

PROVENANCE = "checkpoint.json"
MIN_REMAINDER_SAMPLES = SAMPLE_RATE  # a shorter remainder of a long sound is left out


@dataclass(frozen=True, kw_only=True)
class PredictionConfig:
    """How pairs are scored; the judge inherits the window."""

    window_seconds: float
    """Longer sounds are scored in consecutive windows, averaged by length; at most that of
    features.frontend and the CLAP's own."""
    batch_size: int = 32  # windows

    def __post_init__(self) -> None:
        if self.window_seconds * SAMPLE_RATE < MIN_REMAINDER_SAMPLES:
            raise SoundjudgeError(
                f"window_seconds is {self.window_seconds}: choose 1 second or more"
            )
        if self.batch_size < 1:
            raise SoundjudgeError(f"batch_size is {self.batch_size}: choose 1 or more")

    @property
    def window_samples(self) -> int:
        """The window in samples."""
        return round(self.window_seconds * SAMPLE_RATE)


def split_windows(samples: int, window: int) -> list[slice]:
    """Consecutive windows of a sound; a remainder below a second is left out unless it is all."""
    cuts = [slice(start, min(start + window, samples)) for start in range(0, samples, window)]
    if len(cuts) > 1 and cuts[-1].stop - cuts[-1].start < MIN_REMAINDER_SAMPLES:
        cuts.pop()
    return cuts


def clean_text(text: str) -> str:
    """The text as members read it: in one Unicode form, without blanks and line ends at its edges.

    Raises SoundjudgeError where nothing is left, and for what no text holds.
    """
    if not isinstance(text, str) or not text.strip():
        raise SoundjudgeError("a text is empty: there is nothing to match the sound with")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise SoundjudgeError(
            f"the text {text!r} holds a NUL or half a character: it was read in a wrong encoding"
        )
    return unicodedata.normalize("NFC", text).strip()


def raw_scores(
    members: Sequence[Member],
    waves: Sequence[NDArray[np.float32]],
    texts: Sequence[str],
    prediction: PredictionConfig,
) -> NDArray[np.float64]:
    """Each member's score of each pair, on its own scale near 0 to 10, not clipped: (B, K)."""
    if len(waves) != len(texts):
        raise SoundjudgeError(f"{len(waves)} sounds have {len(texts)} texts: each needs one")
    texts = [clean_text(text) for text in texts]
    size = prediction.window_samples
    cuts = [
        (pair, cut) for pair, wave in enumerate(waves) for cut in split_windows(len(wave), size)
    ]
    lengths = np.array([cut.stop - cut.start for _, cut in cuts], dtype=np.int64)
    window_scores = np.empty((len(cuts), len(members)))
    # Sounds of one length side by side: less padding, and the order of the pairs cannot matter.
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), prediction.batch_size):
        rows = order[start : start + prediction.batch_size]
        batch = [waves[cuts[row][0]][cuts[row][1]] for row in rows]
        batch_texts = [texts[cuts[row][0]] for row in rows]
        for column, member in enumerate(members):
            window_scores[rows, column] = _scores(member, batch, batch_texts)
    pairs = np.array([pair for pair, _ in cuts], dtype=np.int64)
    sums = np.zeros((len(waves), len(members)))
    np.add.at(sums, pairs, window_scores * lengths[:, None])
    return sums / np.bincount(pairs, weights=lengths, minlength=len(waves))[:, None]


def _scores(
    member: Member, waves: Sequence[NDArray[np.float32]], texts: Sequence[str]
) -> NDArray[np.float64]:
    # TF32 convolutions round to three digits, differently for every batch size.
    with (
        devices.plain_arithmetic(),
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
    ):
        scores = member.scores(waves, texts)  # (B,)
    if not np.isfinite(scores).all():
        text = texts[int(np.flatnonzero(~np.isfinite(scores))[0])]
        raise SoundjudgeError(f"a member gives no finite score for {text!r}: its weights are bad")
    return scores


def predict(
    member: Member, clips: ClipStore, pairs: pd.DataFrame, prediction: PredictionConfig
) -> pd.DataFrame:
    """A member's PREDICTIONS for a RATED table, in its order."""
    chunk = 64 * prediction.batch_size  # what is held in memory at once
    scores: list[NDArray[np.float64]] = []
    names, texts = list(pairs["wav_file_name"]), list(pairs["text"])
    for start in range(0, len(names), chunk):
        waves = [clips.wave(tables.rated_clip_id(name)) for name in names[start : start + chunk]]
        scores.append(raw_scores([member], waves, texts[start : start + chunk], prediction)[:, 0])
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
    stored = artifacts.read_json(predictions / PROVENANCE)
    if stored != _provenance(checkpoint):
        raise SoundjudgeError(
            f"{predictions} was predicted with another {stored['folder']} than {checkpoint} is "
            f"now: run the stage predict@{predictions.name} again"
        )


def _provenance(checkpoint: Path) -> dict[str, str]:
    return {"folder": checkpoint.as_posix(), "sha256": artifacts.sha256(checkpoint)}
