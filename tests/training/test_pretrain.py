"""Alignment: the list loss on pseudo-labels, and validation by rank."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import tiny_lalm
import tiny_training
import torch

from soundjudge.reporting import metrics
from soundjudge.training import pretrain
from soundjudge.training.lalm.training_pairs import predict_scores
from soundjudge.training.ranking.listnet import listnet


def alignment(**changes):
    given = {
        "warm_start": "none",
        "llm": tiny_training.FULL,
        "list_size": 4,
        "captions_per_clip": 2,
        "loss": "listnet",
        "temperature": 0.5,
        "margin": 0.1,
        "train_splits": ("train",),
        "validation_splits": ("validation",),
        "eval_batch_size": 3,
        "seed": 1,
        "optimization": tiny_training.OPTIMISATION,
    }
    return pretrain.PretrainConfig(**{**given, **changes})


def labelled(tmp_path, split):
    table = tiny_training.clips(tmp_path / split).table
    labels, captions = tiny_training.pseudo_labels(), tiny_training.captions()
    return pretrain.select_pseudolabeled(labels, captions, table, [split], f"pretrain.{split}")


def trained(tmp_path, **changes):
    lalm = tiny_lalm.lalm(tmp_path / "llm")
    features = tiny_training.rows(tmp_path / "rows", tiny_training.captioned_ids())
    learned, held_out = labelled(tmp_path, "train"), labelled(tmp_path, "validation")
    given = {"work": tmp_path, "device": "cpu", "log": tiny_training.silent}
    fit = pretrain.train(lalm, features, learned, held_out, alignment(**changes), **given)
    return lalm, features, learned, held_out, fit


def test_pairs_carry_their_texts_and_the_teachers_raw_scores(tmp_path):
    pairs = labelled(tmp_path, "validation")
    assert len(pairs) == 4
    assert pairs.sounds_of(np.array([1])) == ["audiocaps/c4_0"]
    assert pairs.texts_of(np.array([1])) == ["dog barks and rain"]
    np.testing.assert_allclose(pairs.targets, [1, 5 / 6, 5 / 6, 1], rtol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="LoRA needs the package peft")
def test_lora_leaves_a_plain_model_whose_scores_are_those_of_the_best_epoch(tmp_path):
    lalm, features, _, held_out, fit = trained(tmp_path, llm=tiny_training.LORA)
    assert set(lalm.state_dict()) == set(tiny_lalm.lalm(tmp_path / "plain").state_dict())
    said = predict_scores(lalm, features, held_out, 4)
    assert fit.best_value == pytest.approx(metrics.srcc(said, held_out.targets))
    start = tiny_lalm.lalm(tmp_path / "plain").state_dict()
    moved = {n for n, tensor in lalm.state_dict().items() if not torch.equal(tensor, start[n])}
    inside = {n.split(".")[-2] for n in moved if n.startswith("llm.")}
    # Two targets, and the table of embeddings (tied to the output) for its new rows.
    assert inside == {"q_proj", "v_proj", "embed_tokens", "lm_head"}


@pytest.mark.parametrize("loss", ["listmle", "margin", "mse"])
def test_every_loss_teaches_the_teachers_order(tmp_path, loss):
    longer = replace(tiny_training.OPTIMISATION, epochs=15)
    *_, fit = trained(tmp_path, loss=loss, optimization=longer)
    assert fit.history[-1]["loss"] < fit.history[0]["loss"]


@pytest.mark.parametrize("together", [2, 4, None])
def test_training_lowers_the_loss_however_lists_are_composed(tmp_path, together):
    longer = replace(tiny_training.OPTIMISATION, epochs=20)
    *_, fit = trained(tmp_path, captions_per_clip=together, optimization=longer)
    assert fit.history[-1]["loss"] < fit.history[0]["loss"]


def test_validation_is_the_rank_correlation_with_the_teacher(tmp_path):
    lalm, features, _, held_out, fit = trained(tmp_path)
    with torch.no_grad():
        said = [
            lalm.scores(
                torch.from_numpy(features.gather(held_out.sounds_of(np.array([i])))),
                held_out.texts_of(np.array([i])),
            ).item()
            for i in range(4)
        ]
    assert fit.best_value == pytest.approx(metrics.srcc(said, held_out.targets))


def test_scores_do_not_depend_on_the_batch_size(tmp_path):
    lalm, features, learned, *_ = trained(tmp_path)
    one, five = (predict_scores(lalm, features, learned, size) for size in (1, 5))
    np.testing.assert_allclose(one, five, atol=1e-5)


def test_the_loss_of_a_step_is_listnet_over_its_lists(tmp_path):
    # Learning rate next to 0 and no dropout: the epoch's loss is that of the first weights.
    still = replace(tiny_lalm.CONFIG, projector_dropout=0.0, head_dropout=0.0)
    lalm = tiny_lalm.lalm(tmp_path / "llm", config=still)
    features = tiny_training.rows(tmp_path / "rows", tiny_training.captioned_ids())
    learned, held_out = labelled(tmp_path, "train"), labelled(tmp_path, "validation")
    slow = replace(tiny_training.OPTIMISATION, learning_rate=1e-12, epochs=1)
    chosen = alignment(list_size=8, captions_per_clip=4, optimization=slow)
    said = torch.from_numpy(predict_scores(lalm, features, learned, 16)).view(2, 8)
    given = {"work": tmp_path, "device": "cpu", "log": tiny_training.silent}
    fit = pretrain.train(lalm, features, learned, held_out, chosen, **given)
    # 4 clips with 4 captions each, in 2 lists of 2 clips; which clips meet, the seed decides.
    draw = pretrain.clip_lists(learned.clip, 8, 4)(np.random.default_rng([1, 1]))
    said = said.ravel()[torch.from_numpy(draw)]
    expected = listnet(said, torch.from_numpy(learned.targets[draw]), 0.5).mean()
    assert fit.history[0]["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_pairs_of_an_older_preparation_are_refused(tmp_path):
    table = tiny_training.clips(tmp_path).table
    labels = tiny_training.pseudo_labels()
    labels.loc[2, "caption_id"] = "gone"
    with pytest.raises(ValueError, match=r"audiocaps/c0_0, gone .* pseudolabel again"):
        pretrain.select_pseudolabeled(
            labels, tiny_training.captions(), table, ["train"], "pretrain.train_splits"
        )


def test_a_split_without_pairs_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"pretrain.test is \['test'\]"):
        labelled(tmp_path, "test")


@pytest.mark.parametrize(
    ("name", "value"),
    [("list_size", 1), ("temperature", 0.0), ("captions_per_clip", 3), ("captions_per_clip", 0)],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        alignment(**{name: value})
