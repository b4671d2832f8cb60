"""Several texts behind one sound score as they do alone, and so do their gradients."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny_lalm
import tiny_training
import torch

from soundjudge.model.lalm.lalm import Lalm
from soundjudge.training.lalm.training_pairs import PairReader, make_pairs
from soundjudge.training.pretrain import pretrain

TEXTS = ["a dog barks", "rain", "a car and a dog on a roof", "a", "a car", "a dog"]
WITHOUT_DROPOUT = replace(
    tiny_lalm.CONFIG, order="audio_first", projector_dropout=0.0, head_dropout=0.0
)


def model(folder, kind="qwen2", **changes):
    torch.manual_seed(1)
    llm = tiny_lalm.llm_folder(folder, kind=kind)
    config = replace(WITHOUT_DROPOUT, **changes)
    return Lalm.from_llm(llm, config, tiny_lalm.FRONTEND, tiny_lalm.FEATURE_DIM).train()


def backward(lalm, shared, precision=None):
    """Scores of two sounds with three texts each, and the gradients of their weighted sum."""
    lalm.zero_grad()
    sounds = tiny_lalm.features(2)
    context = torch.autocast("cpu", precision) if precision else nullcontext()
    with context:
        if shared:
            scores = lalm.shared_scores(sounds, TEXTS)
        else:
            scores = lalm.scores(sounds.repeat_interleave(3, dim=0), TEXTS)
    (scores * torch.arange(1.0, 7.0)).sum().backward()
    return scores.detach(), {n: p.grad.clone() for n, p in lalm.named_parameters()}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama"])
def test_scores_and_gradients_are_those_of_every_pair_by_itself(tmp_path, kind, attention):
    lalm = model(tmp_path, kind, attention=attention)
    (ours, gradients), (alone, expected) = backward(lalm, True), backward(lalm, False)
    torch.testing.assert_close(ours, alone, atol=1e-5, rtol=0)
    assert alone.std() > 1e-3
    for name, gradient in expected.items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(gradients[name], gradient, atol=1e-4 * scale, rtol=0)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_in_bf16_they_differ_by_rounding_alone(tmp_path, attention):
    lalm = model(tmp_path, attention=attention)
    exact, _ = backward(lalm, False)
    for shared in (True, False):
        rounded, _ = backward(lalm, shared, torch.bfloat16)
        torch.testing.assert_close(rounded, exact, atol=0.1, rtol=0)


def test_a_text_does_not_see_the_others_behind_its_sound(tmp_path):
    lalm = model(tmp_path).eval()
    sounds = tiny_lalm.features(1)
    with torch.no_grad():
        one = lalm.shared_scores(sounds, ["a dog barks", "rain", "a car"])
        two = lalm.shared_scores(sounds, ["rain on a roof and rain", "rain", "a dog"])
    torch.testing.assert_close(one[1], two[1], atol=1e-6, rtol=0)
    assert (one[[0, 2]] - two[[0, 2]]).abs().min() > 1e-4


def test_texts_before_their_sound_cannot_share_it(tmp_path):
    with pytest.raises(AssertionError, match="before a sound"):
        model(tmp_path, order="text_first").shared_scores(tiny_lalm.features(1), ["a"])


@pytest.mark.parametrize(
    ("order", "group", "sequences"),
    [("audio_first", 2, 2), ("audio_first", 1, 4), ("text_first", 1, 4)],
)
def test_pretraining_reads_pairs_that_share_a_sound_as_one_sequence(
    tmp_path, order, group, sequences
):
    lalm = model(tmp_path / "llm", order=order)
    clips = tiny_training.captioned_ids()[:2]
    pairs = make_pairs(pd.Series(clips).repeat(2), pd.Series(TEXTS[:4]), np.zeros(4))
    features = tiny_training.features(tmp_path / "rows", clips)
    items = np.array([2, 3, 0, 1])
    expected = lalm.scores(
        torch.from_numpy(features.gather([clips[i] for i in (1, 1, 0, 0)])),
        [TEXTS[i] for i in (2, 3, 0, 1)],
    )
    inputs = pretrain.read_pairs(PairReader(lalm, features, pairs), items, group)
    assert len(inputs[0].ids) == sequences
    torch.testing.assert_close(lalm.sequence_scores(*inputs), expected, atol=1e-5, rtol=0)
