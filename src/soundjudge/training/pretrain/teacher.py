"""The teacher of `pretrain`: CLAP alone, or CLAP and the likelihood of the captioner.

N = pairs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.checkpoint import load_lalm
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.likelihood import LikelihoodConfig, pair_evidence
from soundjudge.model.likelihood.references import fit_likelihood
from soundjudge.ranges import check_range
from soundjudge.runtime import devices

if TYPE_CHECKING:
    from soundjudge.training.pretrain.pretrain import PretrainConfig


@dataclass(frozen=True, kw_only=True)
class LikelihoodTeacher(LikelihoodConfig):
    """Key `pretrain.training.likelihood` of params.yaml: `weight`, and the keys of `likelihood`."""

    weight: float = 0.5
    "share of the likelihood in the labels, against 1 - weight of CLAP's score; both standardized"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "weight", least=0, most=1)


def splits_and_texts(
    labels: pd.DataFrame, captions: pd.DataFrame, clips: pd.DataFrame
) -> tuple["pd.Series[str]", "pd.Series[str]"]:
    """The split and the text of each pair (N,); SoundjudgeError if a clip or caption is unknown."""
    split = labels["clip_id"].map(clips.set_index("clip_id")["split"])
    text = labels["caption_id"].map(captions.set_index("caption_id")["text"])
    if split.isna().any() or text.isna().any():
        row = labels[split.isna() | text.isna()].iloc[0]
        raise SoundjudgeError(
            f"the pair {row['clip_id']}, {row['caption_id']} is of an older preparation: run the "
            "stage pseudolabel again."
        )
    return split, text


def teacher_labels(
    labels: pd.DataFrame,
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    features: ArrayStore,
    captioner: Path,
    config: "PretrainConfig",
    device: str,
) -> pd.DataFrame:
    """PAIRS as they are, or blended with the likelihood of the captioner in a folder."""
    if config.likelihood is None:
        return labels
    lalm = load_lalm(captioner).to(devices.process_state(device).device)
    return blend_likelihood(labels, captions, clips, features, lalm, config)


def blend_likelihood(
    labels: pd.DataFrame,
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    features: ArrayStore,
    captioner: Lalm,
    config: "PretrainConfig",
) -> pd.DataFrame:
    """PAIRS (N rows) whose clap_score is the weighted sum of both teachers' standardized scores.

    It has the mean and the standard deviation of the CLAPScores, so that a temperature keeps its
    meaning. Silence keeps the lowest label. The references of the likelihood are captioned clips of
    the training splits. Raises SoundjudgeError where a teacher tells no pair from another.
    """
    teacher, splits = config.likelihood, config.train_splits
    assert teacher is not None, "CLAP teaches alone"
    _, likelihood = fit_likelihood(captioner, features, clips, captions, splits, teacher)
    _, texts = splits_and_texts(labels, captions, clips)
    pairs, size = (labels["clip_id"].tolist(), texts.tolist()), config.eval_batch_size
    evidence = pair_evidence(likelihood, features, *pairs, size)
    own, prior, _ = evidence.double().numpy().T  # (N,) each
    clap = labels["clap_score"].to_numpy(dtype=np.float64)
    likely = own - teacher.alpha * prior
    if not (np.ptp(clap) and np.ptp(likely)):
        raise SoundjudgeError(
            f"all {len(labels)} pairs have one CLAPScore or one likelihood: set "
            "pretrain.training.likelihood to null."
        )
    blended = (1 - teacher.weight) * stats.zscore(clap) + teacher.weight * stats.zscore(likely)
    silent = labels["clip_id"].isin(clips.loc[clips["corpus"] == tables.SILENCE_CORPUS, "clip_id"])
    blended[silent] = blended.min()
    return labels.assign(clap_score=stats.zscore(blended) * clap.std() + clap.mean())
