"""A captioner judges pairs: by how likely a text is given a sound and given the references."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tiny_lalm
import torch
from tiny_lalm import CONFIG, features, lalm

from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm import checkpoint
from soundjudge.model.likelihood import likelihood
from soundjudge.model.likelihood.likelihood import Likelihood, LikelihoodConfig
from soundjudge.model.likelihood.references import select_references
from soundjudge.model.likelihood.text_log_probs import text_log_probs
from soundjudge.runtime import artifacts

TEXTS = ["a dog barks", "rain", "a car and a dog on a roof", "a dog barks", "a car"]
PMI = LikelihoodConfig(num_references=3, alpha=0.5, length_exponent=0.5, seed=0)
CPU = torch.device("cpu")


def scores(model, sounds, texts, **changes):
    config = replace(PMI, **changes)
    references = features(config.num_references, seed=5)
    with torch.no_grad():
        return Likelihood(model, references, config).scores(sounds, texts)


def log_probability(model, sound, text):
    """Of one text and its end, word by word through the plain language model: a sum of floats."""
    table, words = model.llm.get_input_embeddings(), [*model.tokenizer(text).input_ids, 0]
    total, spoken = 0.0, []
    for word in words:
        start = table(torch.tensor([[model.tokens.audio_start]]))
        after = table(torch.tensor([[model.tokens.audio_end, *spoken]]))
        sequence = torch.cat([start, model.projector(sound[None]), after], dim=1)
        logits = model.llm(inputs_embeds=sequence).logits[0, -1, : len(tiny_lalm.WORDS)]
        total += float(logits.double().log_softmax(0)[word])
        spoken.append(word)
    return total, len(words)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_scores_are_those_of_a_loop_over_words_and_references(tmp_path, attention, tied):
    model = lalm(tmp_path, replace(CONFIG, attention=attention), tied)
    sounds, references = features(5), features(3, seed=5)
    expected = []
    with torch.no_grad():
        for sound, text in zip(sounds, TEXTS, strict=True):
            own, length = log_probability(model, sound, text)
            given = [math.exp(log_probability(model, other, text)[0]) for other in references]
            information = own - 0.5 * math.log(sum(given) / 3)
            expected.append(information / math.sqrt(length) / likelihood.NATS)
    assert np.std(expected) > 0.01
    ours = scores(model, sounds, TEXTS)
    assert ours.dtype == torch.float32
    assert ours.tolist() == pytest.approx(expected, abs=1e-5)


def test_without_references_a_mean_over_tokens_is_the_negative_caption_loss(tmp_path):
    model = lalm(tmp_path)
    with torch.no_grad():
        loss = [model.caption_loss(features(5)[i : i + 1], TEXTS[i : i + 1]) for i in range(5)]
    ours = scores(model, features(5), TEXTS, alpha=0.0, length_exponent=1.0)
    torch.testing.assert_close(-ours * likelihood.NATS, torch.stack(loss), atol=1e-5, rtol=0)


def test_a_sound_that_is_the_only_reference_says_nothing_of_any_text(tmp_path):
    model = lalm(tmp_path)
    sound = features(1, seed=5)
    ours = scores(model, sound.expand(5, -1, -1), TEXTS, num_references=1, alpha=1.0)
    torch.testing.assert_close(ours, torch.zeros(5), atol=1e-5, rtol=0)


def test_two_texts_behind_one_sound_do_not_see_each_other(tmp_path):
    model = lalm(tmp_path)
    with torch.no_grad():
        together, lengths = text_log_probs(model, features(2), TEXTS[:4])
        alone, _ = text_log_probs(model, features(2).repeat_interleave(2, dim=0), TEXTS[:4])
    assert lengths.tolist() == [4, 2, 9, 4]  # the eighth word is the last, then the end
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_many_tokens_are_read_in_parts(tmp_path, monkeypatch):
    model = lalm(tmp_path)
    whole = scores(model, features(5), TEXTS)
    monkeypatch.setattr("soundjudge.model.likelihood.text_log_probs.LOGIT_ROWS", 3)
    monkeypatch.setattr(likelihood, "BATCH_TEXTS", 2)
    torch.testing.assert_close(scores(model, features(5), TEXTS), whole, atol=1e-5, rtol=0)


def test_a_score_depends_neither_on_its_batch_mates_nor_on_their_order(tmp_path):
    model, sounds = lalm(tmp_path), features(5)
    together = scores(model, sounds, TEXTS)
    alone = torch.cat([scores(model, sounds[i : i + 1], TEXTS[i : i + 1]) for i in range(5)])
    turned = scores(model, sounds.flip(0), TEXTS[::-1]).flip(0)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together, turned, atol=1e-5, rtol=0)


@pytest.mark.parametrize("text", ["", "   "])
def test_a_text_without_words_is_refused(tmp_path, text):
    with pytest.raises(SoundjudgeError, match="has no words"):
        scores(lalm(tmp_path), features(2), ["rain", text])


@pytest.mark.parametrize(
    "wrong", [{"num_references": 0}, {"alpha": 1.5}, {"length_exponent": -0.5}]
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(SoundjudgeError, match=next(iter(wrong))):
        replace(PMI, **wrong)


def stored(folder, means):
    """Features (4, 6) of clips c0, c1, ... whose mean over tokens is `means` in every dimension."""
    waver = np.tile(np.array([-1.0, 1.0, -1.0, 1.0])[:, None], (1, 6))
    rows = np.stack([np.full((4, 6), mean) + waver for mean in means]).astype(np.float32)
    write_rows(folder, [f"c{i}" for i in range(len(means))], [rows])
    return ArrayStore(folder)


def test_references_lie_far_apart_and_the_first_is_drawn_by_the_seed(tmp_path):
    features = stored(tmp_path, [0.0, 1.0, 2.0, 10.0, 6.0])
    clips = features.keys
    by_first = {  # the farthest from what is selected, each time
        "c0": ["c0", "c3", "c4"],
        "c1": ["c1", "c3", "c4"],
        "c2": ["c2", "c3", "c4"],
        "c3": ["c3", "c0", "c4"],
        "c4": ["c4", "c0", "c3"],
    }
    firsts = set()
    for seed in range(12):
        selected = select_references(features, clips, replace(PMI, seed=seed))
        assert selected == by_first[selected[0]]
        firsts.add(selected[0])
    assert len(firsts) > 2


def test_clips_that_sound_alike_are_each_selected_once_at_most(tmp_path):
    features = stored(tmp_path, [3.0, 3.0, 3.0])
    assert sorted(select_references(features, features.keys, PMI)) == features.keys
    with pytest.raises(SoundjudgeError, match="num_references is 3, and there are 2"):
        select_references(features, features.keys[:2], PMI)


def test_a_text_below_the_floor_is_brought_there_and_keeps_its_share_of_information(tmp_path):
    model, references, sounds = lalm(tmp_path), features(3, seed=5), features(5)
    free = Likelihood(model, references, PMI)
    with torch.no_grad():
        plain = free.evidence(sounds, TEXTS)
        floor = float(plain[:, 1].median())
        held = Likelihood(model, references, PMI, floor).evidence(sounds, TEXTS)
    below = plain[:, 1] < floor
    assert 0 < int(below.sum()) < len(TEXTS)
    assert torch.equal(held[~below], plain[~below])
    torch.testing.assert_close(held[below, 1], torch.full_like(held[below, 1], floor))
    torch.testing.assert_close(held[below, 0] / held[below, 1], plain[below, 0] / plain[below, 1])
    assert torch.equal(held[:, 2], plain[:, 2])


def test_the_floor_is_the_least_likely_caption_by_what_evidence_has_second(tmp_path):
    member = Likelihood(lalm(tmp_path), features(3, seed=5), PMI)
    with torch.no_grad():
        priors = member.evidence(features(5), TEXTS)[:, 1]
        assert member.lowest_prior([*TEXTS, *TEXTS]) == pytest.approx(float(priors.min()), rel=1e-6)


def saved(folder):
    """A captioner and the member that is made of it."""
    checkpoint.save_lalm(folder / "caption", lalm(folder / "llm"), "a/beats.pt", {"best_epoch": 3})
    references = dict(zip(["x", "y", "z"], features(3, seed=5), strict=True))
    tiny_lalm.save_likelihood(folder / "member", folder / "caption", references, PMI)
    return folder / "member"


def test_the_member_comes_back_with_its_references_and_leaves_the_captioner_as_it_was(tmp_path):
    folder = saved(tmp_path)
    loaded = likelihood.load_likelihood(folder, CPU)
    expected = scores(checkpoint.load_lalm(tmp_path / "caption"), features(5), TEXTS)
    with torch.no_grad():
        assert torch.equal(loaded.scores(features(5), TEXTS), expected)
    record = artifacts.read_json(folder / "member.json")
    assert (record["kind"], record["encoders"]["audio"][0]["path"]) == ("likelihood", "a/beats.pt")
    assert record["settings"]["references"] == ["x", "y", "z"]
    assert record["settings"]["likelihood"]["alpha"] == 0.5
    first = artifacts.sha256(folder)
    assert artifacts.sha256(saved(tmp_path)) == first


def test_a_checkpoint_of_another_kind_or_with_other_references_is_refused(tmp_path):
    folder = saved(tmp_path)
    with pytest.raises(SoundjudgeError, match="kind is 'likelihood'"):
        checkpoint.load_lalm(folder)
    artifacts.save_tensors(folder / likelihood.REFERENCES, {"references": features(2)})
    with pytest.raises(SoundjudgeError, match="no references of shape"):
        likelihood.load_likelihood(folder, CPU)
    (folder / likelihood.REFERENCES).unlink()
    with pytest.raises(SoundjudgeError, match="run the stage likelihood again"):
        likelihood.load_likelihood(folder, CPU)
