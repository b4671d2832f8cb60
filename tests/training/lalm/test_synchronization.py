"""A step is prepared on the CPU: its forward and backward pass never wait for the device."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import tiny_lalm
import tiny_training
import torch
from torch import nn

from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.model.frontend.frontend import pad_or_cut, pool_frames
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.training.lalm.specaugment import SpecAugment, apply_specaugment
from soundjudge.training.lalm.training_pairs import PairReader, make_pairs

TEXTS = ["a dog barks", "rain", "a car and a dog on a roof", ""]
NOWHERE = torch.device("meta")  # has no numbers: whoever asks for one gets an error


def model(tmp_path, kind, order, attention, training):
    folder = tiny_lalm.llm_folder(tmp_path / "llm", kind=kind)
    config = replace(tiny_lalm.CONFIG, order=order, attention=attention)
    lalm = Lalm.from_llm(folder, config, tiny_lalm.FRONTEND, tiny_lalm.FEATURE_DIM)
    lalm.prepare_for_training(training)
    return lalm.to(NOWHERE)


def inputs(kind, lalm):
    texts, sounds = lalm.tokenize(TEXTS), tiny_lalm.features(4)
    if kind == "caption":
        return lalm.sequence_caption_loss, lalm.caption_sequences(texts), sounds
    if kind == "shared":
        return lalm.sequence_scores, lalm.shared_sequences(texts, 2), sounds[:2]
    return lalm.sequence_scores, lalm.scoring_sequences(texts), sounds


@pytest.mark.parametrize(
    "training", [tiny_training.FULL, pytest.param(tiny_training.LORA, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("kind", "order"),
    [("score", "text_first"), ("score", "audio_first"), ("shared", "audio_first")]
    + [("caption", "text_first")],
)
def test_no_number_is_asked_of_the_device(tmp_path, monkeypatch, kind, order, attention, training):
    lalm = model(tmp_path, "qwen2", order, attention, training)
    compute, sequences, sounds = inputs(kind, lalm)
    in_bf16 = torch.autocast("cpu", torch.bfloat16)
    # Nowhere there is no autocast to switch off.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    with in_bf16:
        loss = compute(sequences, sounds).square().mean()
    loss.backward()
    parameters = [p for p in lalm.parameters() if p.requires_grad]
    assert sum(p.grad is not None for p in parameters) > 5
    assert nn.utils.clip_grad_norm_(parameters, 1.0).is_meta


def test_masked_sounds_are_encoded_without_asking_for_a_number(monkeypatch):
    # Nowhere there is no autocast to switch off.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    encoder, generator = tiny_training.encoder().to(NOWHERE), torch.Generator().manual_seed(0)
    masks = SpecAugment(freq_mask=15, time_mask=30, per="sound")
    augment = partial(apply_specaugment, config=masks, generator=generator)
    waves = [np.zeros(8_000, np.float32)] * 3
    with torch.no_grad():
        frames = encoder.frames(pad_or_cut(waves, tiny_lalm.FRONTEND), augment)
    features = pool_frames(frames, tiny_lalm.FRONTEND.audio_tokens)
    assert features.is_meta and features.shape == (3, 4, 6)


def test_a_device_without_numbers_notices_who_asks():
    tensor = torch.zeros(3, device=NOWHERE)
    for ask in (lambda: bool(tensor.all()), lambda: tensor.nonzero(), lambda: tensor[tensor > 0]):
        with pytest.raises((RuntimeError, NotImplementedError)):
            ask()


def test_every_text_is_tokenized_once(tmp_path, monkeypatch):
    lalm, calls = tiny_lalm.lalm(tmp_path / "llm"), []
    tokenize = lalm.tokenize
    monkeypatch.setattr(
        lalm, "tokenize", lambda texts: calls.append(list(texts)) or tokenize(texts)
    )
    table = tiny_training.captions()
    pairs = make_pairs(table["clip_id"], table["text"].where(table.index != 2, "x"), np.ones(6))
    reader = PairReader(lalm, None, pairs)
    for items in ([0, 1, 2], [5, 2, 2]):
        assert reader.tokens_of(np.array(items)) == tokenize(pairs.texts_of(np.array(items)))
    assert calls == [list(pairs.texts)]


def test_features_stay_as_they_are_stored_until_they_are_copied(tmp_path):
    stored = tiny_lalm.features(3).half()
    write_rows(tmp_path / "features", ["a", "b", "c"], [stored.numpy()])
    lalm, features = tiny_lalm.lalm(tmp_path / "llm"), ArrayStore(tmp_path / "features")
    pairs = make_pairs(pd.Series(["b", "c"]), pd.Series(["rain", "a dog"]), np.ones(2))
    read = PairReader(lalm, features, pairs).features_of(np.array([1, 0]))
    assert read.dtype == torch.float16 and torch.equal(read, stored[[2, 1]])
