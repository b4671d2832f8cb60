"""Captioning: what is learned, what stays, and what validation says."""

import json
import runpy

import numpy as np
import pytest
import tiny_lalm
import tiny_training
import torch
from repository import STAGES

from soundjudge.model.lalm.adaptation import LlmTraining, Lora
from soundjudge.training import caption
from soundjudge.training.captions.caption_report import Generation
from soundjudge.training.lalm.training_pairs import make_pairs

STAGE = STAGES / "caption.py"
GENERATION = Generation(clips=2, num_beams=2, max_tokens=5, batch_size=2)


def learns(training, lora=None):
    return LlmTraining(training=training, lora=lora, gradient_checkpointing=False, compile=False)


def captioning(**changes):
    given = {
        "model": tiny_lalm.CONFIG,
        "llm": tiny_training.FULL,
        "train_splits": ("train",),
        "validation_splits": ("validation",),
        "eval_batch_size": 4,
        "seed": 1,
        "optimization": tiny_training.OPTIMISATION,
        "generation": GENERATION,
    }
    return caption.CaptionConfig(**{**given, **changes})


def trained(tmp_path, **changes):
    lalm = tiny_lalm.lalm(tmp_path / "llm")
    before = {name: tensor.clone() for name, tensor in lalm.state_dict().items()}
    features = tiny_training.rows(tmp_path / "rows", tiny_training.captioned_ids())
    table = tiny_training.captions()
    learned, held_out = (
        make_pairs(table["clip_id"][rows], table["text"][rows], np.ones(rows.stop - rows.start))
        for rows in (slice(0, 4), slice(4, 6))
    )
    fit = caption.train(
        lalm,
        features,
        learned,
        held_out,
        captioning(**changes),
        work=tmp_path,
        device="cpu",
        log=tiny_training.silent,
    )
    moved = {name for name, t in lalm.state_dict().items() if not torch.equal(t, before[name])}
    return lalm, features, learned, held_out, fit, moved


def test_language_model_and_projector_learn_and_the_score_head_stays(tmp_path):
    *_, moved = trained(tmp_path)
    assert any(name.startswith("llm.") for name in moved)
    assert any(name.startswith("projector.") for name in moved)
    assert not any(name.startswith(("score_head.", "final_linear.")) for name in moved)


def test_a_frozen_language_model_stays_as_it_is(tmp_path):
    *_, moved = trained(tmp_path, llm=tiny_training.FROZEN)
    assert moved
    assert all(name.startswith("projector.") for name in moved)


def test_after_lora_the_model_is_a_plain_one_that_moved_and_speaks(tmp_path):
    pytest.importorskip("peft", reason="peft, which LoRA needs, is absent")
    lora = Lora(rank=2, alpha=4.0, targets=("q_proj", "v_proj"))
    lalm, features, _, held_out, _, moved = trained(tmp_path, llm=learns("lora", lora))
    plain = tiny_lalm.lalm(tmp_path / "plain")
    assert lalm.state_dict().keys() == plain.state_dict().keys()
    assert "llm.model.layers.0.self_attn.q_proj.weight" in moved
    assert "llm.model.layers.0.self_attn.k_proj.weight" not in moved
    sounds = torch.from_numpy(features.gather(held_out.sounds_of(np.arange(2))))
    assert len(lalm.generate(sounds, max_tokens=5, num_beams=2)) == 2


def test_the_loss_on_the_captions_that_are_learnt_falls(tmp_path):
    *_, fit, _ = trained(tmp_path)
    assert fit.history[-1]["loss"] < fit.history[0]["loss"]


def test_validation_is_the_negative_loss_on_held_out_captions(tmp_path):
    lalm, features, _, held_out, fit, _ = trained(tmp_path)
    lalm.eval()
    sounds = torch.from_numpy(features.gather(held_out.sounds_of(np.arange(2))))
    with torch.no_grad():
        expected = lalm.caption_loss(sounds, held_out.texts_of(np.arange(2))).item()
    assert -fit.best_value == pytest.approx(expected, rel=1e-5)
    assert caption.summarize(fit)["validation_loss"] == -fit.best_value


def test_the_held_out_loss_does_not_depend_on_the_batch_size(tmp_path):
    lalm, features, learned, *_ = trained(tmp_path)
    with torch.no_grad():
        one, three, all_ = (
            caption.validation_loss(lalm, features, learned, size) for size in (1, 3, 100)
        )
    assert one == pytest.approx(all_, rel=1e-5)
    assert three == pytest.approx(all_, rel=1e-5)


def test_captions_are_taken_from_the_clips_of_the_named_splits(tmp_path):
    prepared = tiny_training.clips(tmp_path)
    held_out = caption.select_captioned(
        tiny_training.captions(), prepared.table, ["validation"], "x"
    )
    assert held_out.sounds_of(np.arange(len(held_out))) == ["audiocaps/c4_0", "audiocaps/c5_0"]
    assert held_out.texts_of(np.array([1, 0])) == ["dog barks and rain", "rain"]


def test_a_split_without_captions_is_refused_by_name(tmp_path):
    prepared = tiny_training.clips(tmp_path)
    with pytest.raises(ValueError, match=r"caption.train_splits is \['tain'\].*'train'"):
        caption.select_captioned(
            tiny_training.captions(), prepared.table, ["tain"], "caption.train_splits"
        )


@pytest.fixture
def repository(in_folder):
    """A folder as the stage expects it; torch's determinism is put back afterwards."""
    tiny_training.repository(in_folder)
    yield in_folder
    torch.use_deterministic_algorithms(False)


def test_the_stage_says_captions_of_held_out_clips_twice_the_same(repository):
    written = []
    for _ in range(2):
        runpy.run_path(str(STAGE), run_name="__main__")
        page = (repository / "metrics/caption.md").read_text()
        written.append((page, (repository / "metrics/caption.json").read_bytes()))
    assert written[0] == written[1]
    assert all(text in page for text in ("| rain | audiocaps/c4_0 |", "| dog barks and rain |"))
    figures = json.loads(written[0][1])
    assert figures["captioned_clips"] == 2
    assert {"cider_d", "cider_d_other_clip", "token_f1", "token_f1_other_clip"} < figures.keys()
    assert {"best_epoch", "validation_loss"} < figures.keys()
