"""Training batches of the stand-in language model, and the tokenizers of the stand-ins."""

import numpy as np
import pytest
import text_matching
import tiny_recordings
import torch
import vocabulary
from tiny_recordings import LABELS, recording

from soundjudge.sample.composition.scenes import Event, Scene, Span

POOL = tiny_recordings.pool()
DOG, OWL, RAIN = (recording(label) for label in ("dog", "owl", "rain"))
SLOTS = 16


def sample(batch=24, seed=0):
    return text_matching.sample_batch(POOL, batch, SLOTS, np.random.default_rng(seed))


def test_a_slot_holds_what_sounds_in_its_middle():
    spans = [
        Span(Event(DOG), 0, 17_000),  # 0 to 1.06 s
        Span(Event(OWL), 10_000, 50_000),  # to 3.125 s
        Span(Event(DOG, 2), 100_000, 112_001),  # 6.25 to just over 7 s
    ]
    dog, owl = DOG.caption, OWL.caption
    # Four slots of 2 s: their middles are at 1, 3, 5 and 7 s.
    assert text_matching._timeline(spans, 4) == [[dog, owl], [owl], [], [dog]]


def test_overlap_is_what_two_scenes_share_of_all_their_kinds():
    one = Scene((Event(DOG), Event(OWL)))
    assert text_matching._overlap(one, one) == 1.0
    assert text_matching._overlap(one, Scene((Event(OWL, 3), Event(DOG)), "while")) == 1.0
    assert (
        text_matching._overlap(one, Scene((Event(recording("dog", take=2)), Event(RAIN)))) == 1 / 3
    )
    assert text_matching._overlap(one, Scene((Event(RAIN),))) == 0.0


def test_a_batch_has_four_captions_a_scene_of_which_the_first_is_its_own():
    batch = sample()
    assert len(batch.slots) == 24
    assert all(len(row) == SLOTS for row in batch.slots)
    assert len(batch.texts) == 24 * 4
    assert batch.matched.tolist() == [1.0, 0.0, 0.0, 0.0] * 24
    assert batch.overlap.shape == (24, 4)
    assert batch.named.shape == (24 * 4, SLOTS)
    assert (batch.overlap[:, 0] == 1.0).all()
    assert batch.overlap[:, 2].mean() < 0.5  # of another scene


def test_a_caption_names_a_slot_when_it_says_all_that_sounds_there():
    batch = sample()
    for pair, text in enumerate(batch.texts):
        for m, slot in enumerate(batch.slots[pair // 4]):
            named = bool(slot) and all(words[2:] in text for words in slot)  # without its 'A '
            assert bool(batch.named[pair, m]) == named
    own = batch.named[::4] > 0
    sounding = torch.tensor([[bool(slot) for slot in row] for row in batch.slots])
    assert torch.equal(own, sounding)


def test_the_same_seed_gives_the_same_batch():
    one, other = sample(seed=7), sample(seed=7)
    assert (one.slots, one.texts) == (other.slots, other.texts)
    assert torch.equal(one.named, other.named)
    assert torch.equal(one.overlap, other.overlap)


TEXTS = vocabulary.sample_captions(POOL, 200, seed=1)


def test_captions_are_of_the_pool_and_of_the_seed():
    assert len(TEXTS) == 200
    assert all(any(label in text for label in LABELS) for text in TEXTS)
    assert vocabulary.sample_captions(POOL, 200, seed=1) == TEXTS
    assert vocabulary.sample_captions(POOL, 200, seed=2) != TEXTS


def test_the_clap_tokenizer_wraps_a_text_as_roberta_does():
    tokenizer = vocabulary.roberta_tokenizer(TEXTS, 300)
    assert len(tokenizer) <= 300
    names = ("bos_token_id", "pad_token_id", "eos_token_id", "unk_token_id")
    assert [getattr(tokenizer, name) for name in names] == [0, 1, 2, 3]
    ids = tokenizer(["A dog sounds", "A dog sounds as take 1 twice"], padding=True)["input_ids"]
    assert len(ids[0]) == len(ids[1])
    assert all(row[0] == 0 and 2 in row for row in ids)
    assert ids[0][-1] == 1
    assert tokenizer.decode(ids[1], skip_special_tokens=True) == "A dog sounds as take 1 twice"


@pytest.mark.parametrize("text", ["A dog sounds", "unknown wörds 42!"])
def test_the_language_models_tokenizer_says_a_text_and_nothing_more(text):
    tokenizer = vocabulary.qwen_tokenizer(TEXTS, 300)
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(tokenizer.all_special_ids)
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_the_same_texts_train_the_same_tokenizer():
    one, other = (vocabulary.qwen_tokenizer(TEXTS, 300).get_vocab() for _ in range(2))
    assert one == other
