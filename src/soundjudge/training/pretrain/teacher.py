"""The teacher of `pretrain`: CLAP alone, or CLAP and the likelihood of the captioner.

N = pairs.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.likelihood import LikelihoodConfig, fit_likelihood, pair_evidence
from soundjudge.ranges import check_range


@dataclass(frozen=True, kw_only=True)
class LikelihoodTeacher(LikelihoodConfig):
    """Key `pretrain.training.likelihood` of params.yaml: `weight`, and the keys of `likelihood`."""

    weight: float = 0.5
    "share of the likelihood in the labels, against 1 - weight of CLAP's score; both standardized"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "weight", least=0, most=1)


def blend_likelihood(
    labels: pd.DataFrame,
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    features: ArrayStore,
    captioner: Lalm,
    teacher: LikelihoodTeacher,
    *,
    splits: tuple[str, ...],
    batch_size: int,
) -> pd.DataFrame:
    """PAIRS (N rows) whose clap_score is the weighted sum of both teachers' standardized scores.

    It has the mean and the standard deviation of the CLAPScores, so that a temperature keeps its
    meaning. Silence keeps the lowest label. The references of the likelihood are captioned clips of
    `splits`.
    """
    _, likelihood = fit_likelihood(captioner, features, clips, captions, splits, teacher)
    texts = labels["caption_id"].map(captions.set_index("caption_id")["text"]).tolist()
    evidence = pair_evidence(likelihood, features, labels["clip_id"].tolist(), texts, batch_size)
    own, prior, _ = evidence.double().numpy().T  # (N,) each
    clap = labels["clap_score"].to_numpy(dtype=np.float64)
    blended = (1 - teacher.weight) * stats.zscore(clap)
    blended += teacher.weight * stats.zscore(own - teacher.alpha * prior)
    silent = labels["clip_id"].isin(clips.loc[clips["corpus"] == tables.SILENCE_CORPUS, "clip_id"])
    blended[silent] = blended.min()
    return labels.assign(clap_score=stats.zscore(blended) * clap.std() + clap.mean())
