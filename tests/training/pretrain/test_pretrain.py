"""Pretraining: the list loss on pseudo-labels, and validation by rank correlation."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import tiny_lalm
import tiny_training
import torch

from soundjudge.errors import SoundjudgeError
from soundjudge.reporting import metrics
from soundjudge.training.lalm.training_pairs import predict_scores
from soundjudge.training.pretrain import pretrain
from soundjudge.training.ranking.losses import listnet


def config(**changes):
    values = {
        "llm": tiny_training.FULL,
        "list_size": 4,
        "captions_per_clip": 2,
        "loss": "listnet",
        "temperature": 0.5,
        "train_splits": ("train",),
        "validation_splits": ("validation",),
        "eval_batch_size": 3,
        "optimization": tiny_training.OPTIMIZATION,
    }
    return pretrain.PretrainConfig(**{**values, **changes})


MEMBER = pretrain.PretrainMember(seed=1, warm_start="none")


def select(tmp_path, split):
    table = tiny_training.clips(tmp_path / split).table
    labels, captions = tiny_training.pseudo_labels(), tiny_training.captions()
    return pretrain.select_pseudolabeled(labels, captions, table, [split], "train_splits")


def train(tmp_path, **changes):
    lalm = tiny_lalm.lalm(tmp_path / "llm")
    features = tiny_training.features(tmp_path / "rows", tiny_training.captioned_ids())
    train_pairs, validation_pairs = select(tmp_path, "train"), select(tmp_path, "validation")
    run = {"work": tmp_path, "device": "cpu", "log": tiny_training.silent}
    result = pretrain.train(
        lalm, features, train_pairs, validation_pairs, config(**changes), MEMBER, **run
    )
    return lalm, features, train_pairs, validation_pairs, result


def test_pairs_carry_their_texts_and_the_teachers_raw_scores(tmp_path):
    pairs = select(tmp_path, "validation")
    assert len(pairs) == 4
    assert pairs.clip_ids_of(np.array([1])) == ["audiocaps/c4_0"]
    assert pairs.texts_of(np.array([1])) == ["dog barks and rain"]
    np.testing.assert_allclose(pairs.targets, [1, 5 / 6, 5 / 6, 1], rtol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="LoRA needs the package peft")
def test_lora_leaves_a_plain_model_whose_scores_are_those_of_the_best_epoch(tmp_path):
    lalm, features, _, validation_pairs, result = train(tmp_path, llm=tiny_training.LORA)
    assert set(lalm.state_dict()) == set(tiny_lalm.lalm(tmp_path / "plain").state_dict())
    scores = predict_scores(lalm, features, validation_pairs, 4)
    assert result.best_value == pytest.approx(metrics.srcc(scores, validation_pairs.targets))
    start = tiny_lalm.lalm(tmp_path / "plain").state_dict()
    changed = {n for n, tensor in lalm.state_dict().items() if not torch.equal(tensor, start[n])}
    modules = {n.split(".")[-2] for n in changed if n.startswith("llm.")}
    # Two targets, and the table of embeddings (tied to the output) for its new rows.
    assert modules == {"q_proj", "v_proj", "embed_tokens", "lm_head"}


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["listmle", "margin", "mse"])
def test_every_loss_teaches_the_teachers_order(tmp_path, loss):
    longer = replace(tiny_training.OPTIMIZATION, epochs=15)
    *_, result = train(tmp_path, loss=loss, optimization=longer)
    assert result.history[-1]["loss"] < result.history[0]["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("captions_per_clip", [2, 4, None])
def test_training_lowers_the_loss_however_lists_are_composed(tmp_path, captions_per_clip):
    longer = replace(tiny_training.OPTIMIZATION, epochs=20)
    *_, result = train(tmp_path, captions_per_clip=captions_per_clip, optimization=longer)
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_validation_is_the_rank_correlation_with_the_teacher(tmp_path):
    lalm, features, _, validation_pairs, result = train(tmp_path)
    with torch.no_grad():
        scores = [
            lalm.scores(
                torch.from_numpy(features.gather(validation_pairs.clip_ids_of(np.array([i])))),
                validation_pairs.texts_of(np.array([i])),
            ).item()
            for i in range(4)
        ]
    assert result.best_value == pytest.approx(metrics.srcc(scores, validation_pairs.targets))


def test_scores_do_not_depend_on_the_batch_size(tmp_path):
    lalm, features, train_pairs, *_ = train(tmp_path)
    one, five = (predict_scores(lalm, features, train_pairs, size) for size in (1, 5))
    np.testing.assert_allclose(one, five, atol=1e-5)


def test_the_loss_of_a_step_is_listnet_over_its_lists(tmp_path):
    # Learning rate next to 0 and no dropout: the epoch's loss is that of the first weights.
    without_dropout = replace(tiny_lalm.CONFIG, projector_dropout=0.0, head_dropout=0.0)
    lalm = tiny_lalm.lalm(tmp_path / "llm", without_dropout)
    features = tiny_training.features(tmp_path / "rows", tiny_training.captioned_ids())
    train_pairs, validation_pairs = select(tmp_path, "train"), select(tmp_path, "validation")
    slow = replace(tiny_training.OPTIMIZATION, learning_rate=1e-12, epochs=1)
    lists_of_two_clips = config(list_size=8, captions_per_clip=4, optimization=slow)
    scores = torch.from_numpy(predict_scores(lalm, features, train_pairs, 16))
    run = {"work": tmp_path, "device": "cpu", "log": tiny_training.silent}
    result = pretrain.train(
        lalm, features, train_pairs, validation_pairs, lists_of_two_clips, MEMBER, **run
    )
    # 4 clips with 4 captions each, in 2 lists of 2 clips; the seed decides which.
    items = pretrain.clip_lists(train_pairs.clip, 8, 4)(np.random.default_rng([1, 1]))
    targets = torch.from_numpy(train_pairs.targets[items])
    expected = listnet(scores[torch.from_numpy(items)], targets, 0.5).mean()
    assert result.history[0]["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_pairs_of_an_older_preparation_are_refused(tmp_path):
    table = tiny_training.clips(tmp_path).table
    labels = tiny_training.pseudo_labels()
    labels.loc[2, "caption_id"] = "gone"
    with pytest.raises(SoundjudgeError, match=r"audiocaps/c0_0, gone .* pseudolabel again"):
        pretrain.select_pseudolabeled(
            labels, tiny_training.captions(), table, ["train"], "train_splits"
        )


def test_a_split_without_pairs_is_refused_by_name(tmp_path):
    with pytest.raises(SoundjudgeError, match=r"pretrain\.training\.train_splits is \['test'\]"):
        select(tmp_path, "test")


@pytest.mark.parametrize(
    ("name", "value"),
    [("list_size", 1), ("temperature", 0.0), ("captions_per_clip", 3), ("captions_per_clip", 0)],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(SoundjudgeError, match=name):
        config(**{name: value})
