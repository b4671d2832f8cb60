"""A language model and its captioner, made ready to train, and what the captioner says of pairs.

Letters: P = pairs, S = inputs of the offset.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.model.joint.joint_lalm import JointLalm, Trainable
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.likelihood import load_likelihood, pair_evidence
from soundjudge.runtime import devices
from soundjudge.runtime.devices import copy_to
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
    """Makes trainable what is to be trained; returns `stored_inputs` of the training pairs."""
    precomputed: list[Tensor] = []
    if isinstance(model, JointLalm):
        model.to(devices.process_state(device).device).eval()
        scores, evidence = stored_inputs(model, "offset", features, pairs, config)
        model.offset.standardize_by(copy_to(scores, model.device), copy_to(evidence, model.device))
        precomputed = [scores, evidence] if trainable == "offset" else [evidence]
    if trainable == "all":
        language_model(model).prepare_for_training(config.llm)
    return precomputed


def stored_inputs(
    model: Lalm | JointLalm,
    trainable: Trainable,
    features: ArrayStore,
    pairs: TrainingPairs,
    config: RankingConfig,
) -> list[Tensor]:
    """What no training step changes of the offset's inputs, for stored sounds and texts.

    Of a joint model the captioner's evidence (P, S - 1); before it, where the offset alone is
    trained, the language model's scores (P,). SpecAugment masks nothing of it.
    """
    if not isinstance(model, JointLalm):
        return []
    rows, size = np.arange(len(pairs)), config.eval_batch_size
    columns = pairs.clip_ids_of(rows), pairs.texts_of(rows)
    evidence = pair_evidence(model.captioner, features, *columns, size)
    if trainable == "all":
        return [evidence]
    scores = predict_scores(model.lalm, features, pairs, size)
    return [torch.from_numpy(scores).float(), evidence]


def language_model(model: Lalm | JointLalm) -> Lalm:
    """The language model inside, or the model itself."""
    return model.lalm if isinstance(model, JointLalm) else model
