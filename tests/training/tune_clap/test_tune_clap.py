"""Tuning CLAP on listeners: the losses by hand, what moves, what stays, the same bytes twice."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_tuning
import torch
from scipy import stats

from soundjudge.clap.clapscore import clapscore
from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.data.clips import clip_store
from soundjudge.runtime import artifacts
from soundjudge.training.ranking import losses
from soundjudge.training.tune_clap import tune_clap


def test_squared_errors_within_tau_count_as_none():
    prediction, target = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.2, 2.0, 3.0])
    assert losses.clipped_mse(prediction, target, 0.0).item() == pytest.approx((0.04 + 4) / 3)
    assert losses.clipped_mse(prediction, target, 0.25).item() == pytest.approx(4 / 3)


def test_the_margin_loss_is_half_the_mean_excess_over_all_pairs():
    # Errors 0, .3, .05 differ by .3, .05, .25; beyond the margin .1: .2, 0, .15, each twice.
    prediction, target = torch.tensor([1.0, 2.3, 3.05]), torch.tensor([1.0, 2.0, 3.0])
    assert losses.pairwise_margin(prediction, target, 0.1).item() == pytest.approx(0.7 / 9 / 2)


def test_a_margin_loss_of_lists_is_the_mean_of_those_of_each():
    prediction, target = (
        torch.randn(3, 5, generator=torch.Generator().manual_seed(1)),
        torch.zeros(3, 5),
    )
    single = [losses.pairwise_margin(p, t, 0.1) for p, t in zip(prediction, target, strict=True)]
    assert losses.pairwise_margin(prediction, target, 0.1).item() == pytest.approx(sum(single) / 3)


@pytest.fixture
def clips(tmp_path: Path) -> clip_store.ClipStore:
    return tiny_tuning.write_store(tmp_path / "prepared")


def run(
    clips: clip_store.ClipStore, config: tune_clap.TuneConfig, work: Path
) -> tuple[ClapScore, object]:
    model = ClapScore(tiny_clap.clap(), mean=7.0, std=3.0)
    train = tune_clap.rated_pairs(tiny_tuning.targets(0, 12), config.target, 7.0, 3.0)
    validation = tune_clap.rated_pairs(tiny_tuning.targets(12, 18), config.target, 7.0, 3.0)
    fit = tune_clap.train(
        model, train, validation, clips, config, work=work, device="cpu", log=lambda line: None
    )
    return model, fit


def test_targets_are_on_the_listeners_scale():
    frame = tiny_tuning.targets(0, 3)
    np.testing.assert_allclose(
        tune_clap.rated_pairs(frame, "spo", 7.0, 3.0).scores, frame["spo_score"], rtol=1e-6
    )
    mean = tune_clap.rated_pairs(frame, "mean", 7.0, 3.0)
    np.testing.assert_allclose(mean.scores, (frame["mean_score"] - 7) / 3, rtol=1e-5)
    latent = tune_clap.rated_pairs(frame, "latent", 7.0, 3.0)
    np.testing.assert_allclose(latent.scores, (frame["latent_score"] - 7) / 3, rtol=1e-5)
    assert mean.clip_ids == ["xacle/00000.wav", "xacle/00001.wav", "xacle/00002.wav"]


@pytest.mark.slow
def test_class_balance_changes_the_training_and_at_beta_0_nothing(clips, tmp_path, monkeypatch):
    tiny_tuning.validations(monkeypatch, 3 * [0.1, 0.2])
    learned = {}
    for beta in (None, 0.0, 0.99):
        changes = {"class_balance": beta, "trainable": "projections"}
        config = tiny_tuning.tuning(optimization={"epochs": 1, "patience": None}, **changes)
        model, _ = run(clips, config, tmp_path / str(beta))
        learned[beta] = torch.cat([weights.flatten() for weights in model.parameters()])
    assert torch.equal(learned[None], learned[0.0])
    assert not torch.equal(learned[None], learned[0.99])


@pytest.mark.parametrize("beta", [-0.1, 1.0])
def test_a_class_balance_outside_its_range_is_refused(beta):
    with pytest.raises(ValueError, match="class_balance"):
        tiny_tuning.tuning(class_balance=beta)


@pytest.mark.parametrize(
    ("trainable", "parts"),
    [
        pytest.param("audio", {"audio_model", "audio_projection"}, marks=pytest.mark.slow),
        pytest.param("text", {"text_model", "text_projection"}, marks=pytest.mark.slow),
        ("both", {"audio_model", "audio_projection", "text_model", "text_projection"}),
        ("projections", {"audio_projection", "text_projection"}),
    ],
)
def test_only_the_chosen_parts_move(clips, tmp_path, monkeypatch, trainable, parts):
    tiny_tuning.validations(monkeypatch, [0.1, 0.2, 0.3])
    before = dict(tiny_clap.clap().named_parameters())
    model, fit = run(clips, tiny_tuning.tuning(trainable=trainable), tmp_path / "work")
    assert fit.best_epoch == 2
    moved = {
        name.split(".")[1]
        for name, after in model.clap.named_parameters()
        if not torch.equal(after, before[name])
    }
    assert moved == parts


@pytest.mark.parametrize("trainable", ["audio", "text", "both", "projections"])
def test_what_is_cached_scores_as_the_model_does(clips, tmp_path, trainable):
    model = ClapScore(tiny_clap.clap(), mean=7.0, std=3.0)
    pairs = tune_clap.rated_pairs(tiny_tuning.targets(0, 12), "spo", 7.0, 3.0)
    inputs = tune_clap.TuneInputs(
        model, [pairs], clips, tiny_tuning.tuning(trainable=trainable), tmp_path
    )
    rows = np.array([7, 2, 11])
    waves = [clips.wave(pairs.clip_ids[row]) for row in rows]
    expected = (model.scores(waves, [pairs.texts[row] for row in rows]) - 7.0) / 3.0
    with torch.no_grad():
        np.testing.assert_allclose(
            inputs.scores(*inputs.read(pairs, rows)).numpy(), expected, atol=1e-5
        )


@pytest.mark.slow
def test_two_runs_end_with_the_same_bytes(clips, tmp_path, monkeypatch):
    for name in ("a", "b"):
        tiny_tuning.validations(monkeypatch, [0.1, 0.3, 0.2])
        model, fit = run(clips, tiny_tuning.tuning(trainable="both"), tmp_path / f"work {name}")
        assert fit.best_epoch == 1
        model.save(tmp_path / name)
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")


def test_where_training_only_harms_the_model_stays_as_it_was(clips, tmp_path, monkeypatch):
    tiny_tuning.validations(monkeypatch, [0.3, 0.2, 0.1])
    untouched = ClapScore(tiny_clap.clap(), mean=7.0, std=3.0)
    wave = clips.wave("xacle/00003.wav")
    model, fit = run(clips, tiny_tuning.tuning(), tmp_path / "work")
    assert (fit.best_epoch, fit.best_value) == (0, 0.3)
    assert np.array_equal(model.scores([wave], ["a dog"]), untouched.scores([wave], ["a dog"]))


def test_an_epoch_is_selected_by_rank_correlation_with_the_validation_targets(clips, tmp_path):
    model, fit = run(clips, tiny_tuning.tuning(), tmp_path / "work")
    frame = tiny_tuning.targets(12, 18)
    waves = [clips.wave(f"xacle/{name}") for name in frame["wav_file_name"]]
    reached = stats.spearmanr(model.scores(waves, list(frame["text"])), frame["mean_score"])
    assert fit.best_value == pytest.approx(reached.statistic)


@pytest.mark.slow
def test_training_lowers_the_loss(clips, tmp_path):
    _, fit = run(
        clips, tiny_tuning.tuning(trainable="both", optimization={"epochs": 8}), tmp_path / "work"
    )
    assert fit.history[-1]["loss"] < 0.7 * fit.history[1]["loss"]


@pytest.mark.slow
def test_the_tuned_model_is_saved_and_scores_equally(clips, tmp_path):
    model, _ = run(clips, tiny_tuning.tuning(), tmp_path / "work")
    model.save(tmp_path / "checkpoint")
    loaded = clapscore.load_clapscore(tmp_path / "checkpoint", "cpu")
    wave = clips.wave("xacle/00003.wav")
    assert np.array_equal(loaded.scores([wave], ["a dog"]), model.scores([wave], ["a dog"]))


def test_too_few_pairs_for_a_list_are_refused(clips, tmp_path):
    with pytest.raises(ValueError, match="list_size"):
        run(clips, tiny_tuning.tuning(list_size=13), tmp_path / "work")


@pytest.mark.parametrize(
    "changes", [{"list_size": 1}, {"mse_tau": -0.1}, {"margin": -1.0}, {"encode_batch_size": 0}]
)
def test_impossible_settings_are_refused_by_name(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        tiny_tuning.tuning(**changes)
