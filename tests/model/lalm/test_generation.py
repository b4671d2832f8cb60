"""Captions are those of a beam search over the model's own probabilities."""

import itertools

import pytest
import torch
from tiny_lalm import WORDS, features, lalm
from torch.nn import functional

EOS = 0


def model_without_ties(folder):
    """An untrained model whose next words differ in probability, so that no two captions tie."""
    model = lalm(folder)
    with torch.no_grad():
        model.projector.residual_proj.weight.mul_(20)
        model.llm.get_input_embeddings().weight.mul_(3)
    return model


def log_probabilities(model, sound, prefix):
    """Of every next word after the ids `prefix`: (words,)."""
    table = model.llm.get_input_embeddings()
    start = torch.tensor([[model.tokens.audio_start]])
    after = torch.tensor([[model.tokens.audio_end, *prefix]])
    with torch.no_grad():
        sequence = torch.cat([table(start), model.projector(sound), table(after)], dim=1)
        logits = model.llm(inputs_embeds=sequence).logits[0, -1, : len(WORDS)]
    return functional.log_softmax(logits, dim=0)


def decode(model, ids):
    return model.tokenizer.decode(ids, skip_special_tokens=True).strip()


def exhaustive_search(model, sound):
    """The caption of at most two tokens with the highest mean log-probability per token."""
    first = log_probabilities(model, sound, [])
    scores = {(EOS,): float(first[EOS])}
    for one, two in itertools.product(range(1, len(WORDS)), range(len(WORDS))):
        scores[one, two] = float(first[one] + log_probabilities(model, sound, [one])[two]) / 2
    return decode(model, max(scores, key=scores.get))


def naive_beam_search(model, sound, beams, max_tokens):
    """Beam search, one hypothesis at a time; those that end leave the beam and are kept."""
    running, ended = [((), 0.0)], []
    for length in range(1, max_tokens + 1):
        grown = []
        for prefix, score in running:
            step = log_probabilities(model, sound, prefix)
            grown += [((*prefix, word), score + float(step[word])) for word in range(len(WORDS))]
        grown = sorted(grown, key=lambda item: -item[1])[: 2 * beams]
        last = length == max_tokens
        ended += [(ids, v / length) for ids, v in grown[:beams] if ids[-1] == EOS or last]
        ended = sorted(ended, key=lambda item: -item[1])[:beams]
        running = [item for item in grown if item[0][-1] != EOS][:beams]
        if len(ended) == beams and running[0][1] / length <= ended[-1][1]:
            break
    return decode(model, ended[0][0])


@pytest.mark.slow
def test_a_beam_as_wide_as_the_vocabulary_finds_the_likeliest_caption(tmp_path):
    model = model_without_ties(tmp_path)
    sounds = features(4)
    captions = model.generate(sounds, max_tokens=2, num_beams=len(WORDS))
    assert captions == [exhaustive_search(model, sound[None]) for sound in sounds]
    assert len(set(captions)) > 1


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_a_caption_is_that_of_a_plain_beam_search(tmp_path, beams):
    model = model_without_ties(tmp_path)
    sounds = features(4, seed=1)
    captions = model.generate(sounds, max_tokens=5, num_beams=beams)
    assert captions == [naive_beam_search(model, sound[None], beams, 5) for sound in sounds]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_caption_does_not_depend_on_its_batch_mates_nor_on_chance(tmp_path, beams):
    model = model_without_ties(tmp_path)
    model.llm.config.update({"temperature": 5.0, "do_sample": True, "num_beams": 7})
    sounds = features(6)
    torch.manual_seed(1)
    together = model.generate(sounds, max_tokens=6, num_beams=beams)
    torch.manual_seed(2)
    alone = [model.generate(sounds[i : i + 1], max_tokens=6, num_beams=beams)[0] for i in range(6)]
    assert together == alone
    assert model.generate(sounds.flip(0), max_tokens=6, num_beams=beams)[::-1] == together
    assert not any("[" in text for text in together)
    assert len(set(together)) > 1
