"""A language model and its captioner, made ready to train, and what the captioner says of pairs.

Letters: P = pairs, S = inputs of the offset.
"""

from pathlib import Path

import numpy as np
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.model.joint.joint_lalm import JointLalm, Trainable, pair_evidence
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.likelihood import load_likelihood
from soundjudge.runtime import devices
from soundjudge.training.lalm.training_pairs import TrainingPairs, predict_scores
from soundjudge.training.ranking.ranking import RankingConfig


def join_captioner(lalm: Lalm, captioner: Path | None, device: str) -> Lalm | JointLalm:
    """`lalm`, with the likelihood member in a folder and a new offset if there is one."""
    if captioner is None:
        return lalm
    likelihood = load_likelihood(captioner, devices.process_state(device).device)
    return JointLalm(lalm, likelihood, captioner)


def prepare(
    model: Lalm | JointLalm,
    trainable: Trainable,
    features: ArrayStore,
    pairs: TrainingPairs,
    config: RankingConfig,
    device: str,
) -> list[Tensor]:
    """Makes trainable what is to be trained; returns `stored_evidence` of the training pairs."""
    if not isinstance(model, JointLalm):
        model.prepare_for_training(config.llm)
        return []
    model.to(devices.process_state(device).device).eval()
    (evidence,) = stored_evidence(model, features, pairs, config)
    scores = predict_scores(model.lalm, features, pairs, config.eval_batch_size)
    model.standardize_by(scores, evidence)
    model.prepare_for_training(trainable, config.llm)
    return [evidence]


def stored_evidence(
    model: Lalm | JointLalm, features: ArrayStore, pairs: TrainingPairs, config: RankingConfig
) -> list[Tensor]:
    """What the captioner says of the stored sounds and texts of pairs: (P, S - 1), if there is one.

    SpecAugment masks nothing here: the captioner does not learn from it.
    """
    if not isinstance(model, JointLalm):
        return []
    rows = np.arange(len(pairs))
    columns = pairs.clip_ids_of(rows), pairs.texts_of(rows)
    return [pair_evidence(model.captioner, features, *columns, config.eval_batch_size)]
