"""Captioning: which weights change, the validation loss, and the report of the stage."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_lalm
import tiny_training
import torch
import yaml
from repository import run_stage

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.training.caption import caption
from soundjudge.training.caption.caption_report import Generation
from soundjudge.training.lalm.training_pairs import make_pairs

GENERATION = Generation(clips=2, num_beams=2, max_tokens=5, batch_size=2)


def config(**changes):
    values = {
        "model": tiny_lalm.CONFIG,
        "llm": tiny_training.FULL,
        "train_splits": ("train",),
        "validation_splits": ("validation",),
        "eval_batch_size": 4,
        "seed": 1,
        "optimization": tiny_training.OPTIMIZATION,
        "generation": GENERATION,
    }
    return caption.CaptionConfig(**{**values, **changes})


def train(tmp_path, **changes):
    lalm = tiny_lalm.lalm(tmp_path / "llm")
    before = {name: tensor.clone() for name, tensor in lalm.state_dict().items()}
    features = tiny_training.features(tmp_path / "rows", tiny_training.captioned_ids())
    table = tiny_training.captions()
    train_pairs, validation_pairs = (
        make_pairs(table["clip_id"][rows], table["text"][rows], np.ones(rows.stop - rows.start))
        for rows in (slice(0, 4), slice(4, 6))
    )
    run = {"work": tmp_path, "device": "cpu", "log": tiny_training.silent}
    result = caption.train(lalm, features, train_pairs, validation_pairs, config(**changes), **run)
    changed = {name for name, t in lalm.state_dict().items() if not torch.equal(t, before[name])}
    return lalm, features, train_pairs, validation_pairs, result, changed


def test_language_model_and_projector_learn_and_the_score_head_stays(tmp_path):
    *_, changed = train(tmp_path)
    assert any(name.startswith("llm.") for name in changed)
    assert any(name.startswith("projector.") for name in changed)
    assert not any(name.startswith(("score_head.", "final_linear.")) for name in changed)


def test_a_frozen_language_model_stays_as_it_is(tmp_path):
    *_, changed = train(tmp_path, llm=tiny_training.FROZEN)
    assert changed
    assert all(name.startswith("projector.") for name in changed)


def test_after_lora_the_model_is_a_plain_one_that_moved_and_speaks(tmp_path):
    pytest.importorskip("peft", reason="peft, which LoRA needs, is absent")
    lalm, features, _, validation_pairs, _, changed = train(tmp_path, llm=tiny_training.LORA)
    plain = tiny_lalm.lalm(tmp_path / "plain")
    assert lalm.state_dict().keys() == plain.state_dict().keys()
    assert "llm.model.layers.0.self_attn.q_proj.weight" in changed
    assert "llm.model.layers.0.self_attn.k_proj.weight" not in changed
    sounds = torch.from_numpy(features.gather(validation_pairs.clip_ids_of(np.arange(2))))
    assert len(lalm.generate(sounds, max_tokens=5, num_beams=2)) == 2


def test_the_loss_on_the_captions_that_are_learned_falls(tmp_path):
    *_, result, _ = train(tmp_path)
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_validation_is_the_negative_loss_on_held_out_captions(tmp_path):
    lalm, features, _, validation_pairs, result, _ = train(tmp_path)
    lalm.eval()
    sounds = torch.from_numpy(features.gather(validation_pairs.clip_ids_of(np.arange(2))))
    with torch.no_grad():
        expected = lalm.caption_loss(sounds, validation_pairs.texts_of(np.arange(2))).item()
    assert -result.best_value == pytest.approx(expected, rel=1e-5)
    assert caption.summarize(result)["validation_loss"] == -result.best_value


def test_the_held_out_loss_does_not_depend_on_the_batch_size(tmp_path):
    lalm, features, train_pairs, *_ = train(tmp_path)
    with torch.no_grad():
        one, three, all_ = (
            caption.validation_loss(lalm, features, train_pairs, size) for size in (1, 3, 100)
        )
    assert one == pytest.approx(all_, rel=1e-5)
    assert three == pytest.approx(all_, rel=1e-5)


def test_captions_are_taken_from_the_clips_of_the_named_splits(tmp_path):
    prepared = tiny_training.clips(tmp_path)
    validation_pairs = caption.select_captioned(
        tiny_training.captions(), prepared.table, ["validation"], "validation_splits"
    )
    assert validation_pairs.clip_ids_of(np.arange(len(validation_pairs))) == [
        "audiocaps/c4_0",
        "audiocaps/c5_0",
    ]
    assert validation_pairs.texts_of(np.array([1, 0])) == ["dog barks and rain", "rain"]


def test_a_split_without_captions_is_refused_by_name(tmp_path):
    prepared = tiny_training.clips(tmp_path)
    with pytest.raises(SoundjudgeError, match=r"caption\.train_splits is \['tain'\].*'train'"):
        caption.select_captioned(tiny_training.captions(), prepared.table, ["tain"], "train_splits")


@pytest.fixture
def repository(in_folder):
    """A folder as the stage expects it; torch's determinism is put back afterwards."""
    tiny_training.repository(in_folder)
    yield in_folder
    torch.use_deterministic_algorithms(False)


@pytest.mark.slow
def test_the_stage_says_captions_of_held_out_clips_twice_the_same(repository):
    outputs = []
    for _ in range(2):
        run_stage("caption")
        page = (repository / "metrics/caption.md").read_text()
        outputs.append((page, (repository / "metrics/caption.json").read_bytes()))
    assert outputs[0] == outputs[1]
    assert all(text in page for text in ("| rain | audiocaps/c4_0 |", "| dog barks and rain |"))
    metrics = json.loads(outputs[0][1])
    assert metrics["captioned_clips"] == 2
    assert {"cider_d", "cider_d_other_clip", "token_f1", "token_f1_other_clip"} < metrics.keys()
    assert {"best_epoch", "validation_loss"} < metrics.keys()


@pytest.mark.slow
def test_the_stage_learns_no_caption_of_a_rated_text_that_pseudolabel_excludes(repository):
    rated = pd.DataFrame(
        {"wav_file_name": ["00000.wav"], "text": "Rain!", "split": "test", "model_id": None}
    )
    tables.write_table(rated, Path("data/prepared/rated.parquet"), tables.RATED)
    values = yaml.safe_load(Path("params.yaml").read_text())
    for excluded in (["validation"], ["test"]):
        values["pseudolabel"]["exclude_rated"] = excluded
        Path("params.yaml").write_text(yaml.safe_dump(values))
        if excluded == ["validation"]:
            run_stage("caption")
            assert "| rain | audiocaps/c4_0 |" in (repository / "metrics/caption.md").read_text()
        else:  # of two validation captions, one is a rated text of test
            with pytest.raises(SoundjudgeError, match="validation_splits hold one captioned clip"):
                run_stage("caption")


def test_only_the_choices_of_a_user_are_required_keys():
    section = {
        "model": {
            "projector_hidden": 12,
            "head": [10, 4],
            "max_text_tokens": 8,
            "order": "text_first",
            "attention": "eager",
        },
        "llm": {"training": "frozen"},
        "train_splits": ["train"],
        "validation_splits": ["validation"],
        "eval_batch_size": 4,
        "seed": 1,
        "optimization": {
            "optimizer": "adamw", "learning_rate": 1e-3, "epochs": 2, "batch_size": 2
        },
    }  # fmt: skip
    config = params.build(caption.CaptionConfig, section, "caption")
    assert config.generation == Generation(clips=64, num_beams=4, max_tokens=24, batch_size=64)
    assert config.llm == tiny_training.FROZEN
    assert (config.optimization.clip_norm, config.optimization.patience) == (1.0, None)
    for key in ("llm", "seed", "optimization"):
        incomplete = {name: value for name, value in section.items() if name != key}
        with pytest.raises(SoundjudgeError, match=rf"caption\.{key} is missing"):
            params.build(caption.CaptionConfig, incomplete, "caption")
