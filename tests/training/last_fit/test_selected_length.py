"""The length of a last fit: as many epochs as were selected, at the rates that these had."""

import dataclasses
import math

import numpy as np
import pytest
import tiny_clap
import tiny_tuning
import torch

from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.training.last_fit import selected_length
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.tune_clap import tune_clap

PLANNED = Optimization(
    optimizer="adam",
    learning_rate=1.0,
    epochs=4,
    batch_size=2,
    warmup_steps=2,
    final_lr_ratio=0.0,
    patience=1,
    ema_decay=0.5,
)


def test_its_epochs_are_those_selected_and_nothing_ends_it_sooner():
    last = selected_length.shorten(PLANNED, 2)
    assert (last.epochs, last.patience) == (2, None)
    assert (last.ema_decay, last.optimizer, last.warmup_steps) == (0.5, "adam", 2)


def test_its_learning_rates_are_those_of_the_plan():
    last = selected_length.shorten(PLANNED, 2)
    # A cosine over the four epochs: 1, (1 + cos 45 degrees) / 2; the first step of two has half.
    assert last.rate(1, 0) == 0.5
    assert last.rate(1, 1) == 1
    assert last.rate(2, 9) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    compressed = Optimization(optimizer="adam", learning_rate=1.0, epochs=2, batch_size=2)
    assert last.rate(2, 9) != pytest.approx(compressed.rate(2, 9))


def test_the_epochs_are_read_from_the_metrics_of_the_selection_run(tmp_path):
    metrics = tmp_path / "tune_clap.json"
    artifacts.write_json(metrics, {"best_epoch": 7, "validation_srcc": 0.5})
    assert selected_length.selected_epochs(metrics) == 7


def test_without_a_selection_run_there_is_no_last_fit(tmp_path):
    with pytest.raises(SoundjudgeError, match=r"tune_clap\.json does not exist.*'dvc repro'"):
        selected_length.selected_epochs(tmp_path / "tune_clap.json")


def test_a_start_that_was_the_best_has_a_history_without_a_step(tmp_path):
    selected_length.write_untrained(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,steps,learning_rate,loss,validation\n0,0,,,\n"
    )


def learned(tmp_path, name, validation, optimization):
    clips = tiny_tuning.write_store(tmp_path / name)
    config = tiny_tuning.tuning(trainable="projections")
    model = ClapScore(tiny_clap.clap(), mean=7.0, std=3.0)
    pairs = [tune_clap.rated_pairs(tiny_tuning.targets(*ends), "spo", 7.0, 3.0)
             for ends in ((0, 12), (12, 18))]  # fmt: skip
    fit = tune_clap.train(
        model, pairs[0], pairs[1] if validation else None, clips,
        dataclasses.replace(config, optimization=optimization), work=tmp_path / name / "work",
        device="cpu", log=lambda line: None,
    )  # fmt: skip
    return fit, torch.cat([weights.detach().flatten() for weights in model.parameters()])


def test_the_last_fit_on_the_same_pairs_is_the_selected_one(tmp_path, monkeypatch):
    planned = tiny_tuning.tuning(optimization={"epochs": 4}).optimization
    tiny_tuning.validations(monkeypatch, [0.1, 0.2, 0.3, 0.2, 0.1])  # epoch 0 first
    selection, chosen = learned(tmp_path, "selection", True, planned)
    assert selection.best_epoch == 2
    last, final = learned(tmp_path, "last", False, selected_length.shorten(planned, 2))
    assert (last.best_epoch, last.best_value) == (2, None)
    assert [row["epoch"] for row in last.history] == [1, 2]
    np.testing.assert_array_equal(chosen.numpy(), final.numpy())
