"""SPO-CLAPScore: its scale, its trainable parts, its folder."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_msclap
import torch

from soundjudge.clap.clapscore import clapscore
from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.member_record import MemberRecord, write_member


def test_training_sees_ten_cosines_on_the_listeners_scale():
    model = ClapScore(tiny_clap.clap(), mean=7.0, std=2.0)
    sounds = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert model(sounds, texts).tolist() == [1.5, -3.5]  # (10 - 7) / 2, (0 - 7) / 2


def test_a_score_is_ten_cosines_unclipped():
    clap = tiny_clap.clap()
    waves = [np.full(4_000, 0.1, dtype=np.float32), np.sin(np.arange(9_600)).astype(np.float32)]
    texts = ["a dog", "rain"]
    with torch.no_grad():
        cosines = torch.nn.functional.cosine_similarity(
            clap.embed_sounds(waves), clap.embed_texts(texts)
        )
    scores = ClapScore(clap, mean=7.0, std=2.0).scores(waves, texts)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, 10 * cosines.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("trainable", "parts"),
    [
        ("audio", {"audio_model", "audio_projection"}),
        ("text", {"text_model", "text_projection"}),
        ("both", {"audio_model", "audio_projection", "text_model", "text_projection"}),
        ("projections", {"audio_projection", "text_projection"}),
    ],
)
def test_only_the_chosen_parts_are_trained(trainable, parts):
    model = ClapScore(tiny_clap.clap(), mean=7.0, std=2.0)
    model.set_trainable(trainable)
    named = model.clap.model.named_parameters()
    trained = [name for name, p in named if p.requires_grad]
    assert {name.split(".")[0] for name in trained} == parts
    assert not any("batch_norm" in name for name in trained)


def test_batch_norm_statistics_stay_even_in_training_mode():
    model = ClapScore(tiny_clap.clap(), mean=7.0, std=2.0).train()
    before = {name: b.clone() for name, b in model.named_buffers() if "running" in name}
    assert model.clap.model.text_model.training and before
    model.clap.embed_sounds([np.ones(5_000, dtype=np.float32)])
    for name, buffer in model.named_buffers():
        assert name not in before or torch.equal(buffer, before[name])


def test_a_frozen_projection_has_no_dropout_in_training():
    clap = tiny_msclap.clap()
    model, texts = ClapScore(clap, mean=7.0, std=2.0), ["a dog barks", "rain"]
    model.set_trainable("audio")
    expected = model.eval().clap.embed_texts(texts)
    model.train()
    assert torch.equal(model.clap.embed_texts(texts), expected)
    assert clap.audio_projection.dropout.training and not clap.text_projection.dropout.training


def test_a_saved_clapscore_comes_back_equal(tmp_path: Path):
    model = ClapScore(tiny_clap.clap(), mean=7.06, std=3.01)
    model.save(tmp_path)
    loaded = clapscore.load_clapscore(tmp_path, "cpu")
    assert (loaded.mean, loaded.std, loaded.training) == (7.06, 3.01, False)
    wave = [np.sin(np.arange(9_600)).astype(np.float32)]
    assert np.array_equal(loaded.scores(wave, ["a dog"]), model.scores(wave, ["a dog"]))


def test_a_folder_of_another_kind_is_refused(tmp_path: Path):
    write_member(tmp_path, MemberRecord(kind="regress"))
    with pytest.raises(SoundjudgeError, match="'regress', not 'clapscore'"):
        clapscore.load_clapscore(tmp_path, "cpu")


def test_a_scale_without_width_is_refused():
    with pytest.raises(SoundjudgeError, match="above 0"):
        ClapScore(tiny_clap.clap(), mean=7.0, std=0.0)
