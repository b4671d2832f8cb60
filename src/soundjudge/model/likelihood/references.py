"""The sounds that a captioner's likelihood compares every sound with, and the likelihood by them.

Letters: N = candidates, R = reference sounds, D = encoder width.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.likelihood import Likelihood, LikelihoodConfig

NUM_CANDIDATES = 2048  # clips of which the references are selected, drawn by the seed


def fit_likelihood(
    lalm: Lalm,
    features: ArrayStore,
    clips: pd.DataFrame,
    captions: pd.DataFrame,
    splits: Sequence[str],
    config: LikelihoodConfig,
) -> tuple[list[str], Likelihood]:
    """The references among the captioned clips of `splits`, and the likelihood by them."""
    captioned = clips["clip_id"].isin(captions["clip_id"]) & clips["split"].isin(splits)
    clip_ids = clips["clip_id"][captioned].tolist()
    selected = select_references(features, clip_ids, config)
    references = torch.from_numpy(features.gather(selected)).float().to(lalm.device)
    texts = captions["text"][captions["clip_id"].isin(clip_ids)].tolist()
    with torch.no_grad():
        floor = Likelihood(lalm, references, config).lowest_prior(texts)
    return selected, Likelihood(lalm, references, config, floor)


def select_references(
    features: ArrayStore, clip_ids: Sequence[str], config: LikelihoodConfig
) -> list[str]:
    """R of the clips that lie far apart, in the order of their selection.

    Farthest-point selection (Gonzalez 1985): a first clip by chance, then always the one whose
    nearest selected clip is farthest, by the Euclidean distance of features averaged over tokens
    and standardized over at most NUM_CANDIDATES clips.
    """
    if len(clip_ids) < config.num_references:
        raise SoundjudgeError(
            f"likelihood.num_references is {config.num_references}, and there are {len(clip_ids)} "
            "captioned clips to select them from: choose fewer"
        )
    order = np.random.default_rng(config.seed).permutation(len(clip_ids))
    candidates = [clip_ids[i] for i in order[: max(NUM_CANDIDATES, config.num_references)]]
    means = np.stack([features[clip].mean(axis=0, dtype=np.float64) for clip in candidates])
    spread = means.std(axis=0)
    vectors = (means - means.mean(axis=0)) / np.where(spread > 0, spread, 1.0)  # (N, D)
    return [candidates[i] for i in _farthest_points(vectors, config.num_references)]


def _farthest_points(vectors: NDArray[np.float64], count: int) -> list[int]:
    """Rows of `vectors` (N, D), the first of them first."""
    selected = [0]
    distances = np.linalg.norm(vectors - vectors[0], axis=1)
    while len(selected) < count:
        distances[selected] = -1.0  # equal clips: none comes twice
        selected.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(vectors - vectors[selected[-1]], axis=1))
    return selected
