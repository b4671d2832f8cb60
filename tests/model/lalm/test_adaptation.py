"""Full, LoRA and frozen training of the language model, and the plain model that it leaves."""

import importlib.util
import sys
from dataclasses import replace

import pytest
import tiny_lalm
import torch
from tiny_training import FROZEN, FULL, LORA
from torch import nn
from torch._dynamo.backends.debugging import aot_eager

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm import adaptation, checkpoint
from soundjudge.model.lalm.lalm import Lalm

TEXTS = ["a dog barks", "rain"]
WITHOUT_DROPOUT = replace(tiny_lalm.CONFIG, projector_dropout=0.0, head_dropout=0.0)
needs_peft = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None, reason="LoRA needs the package peft"
)


def train_steps(model, steps=5):
    """A few steps of a loss with a gradient for every trainable weight."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.02)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model.scores(tiny_lalm.features(2), TEXTS) - torch.tensor([3.0, -3.0])).square()
        loss.sum().backward()
        optimizer.step()
    return model.eval()


def copy_weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@needs_peft
@pytest.mark.parametrize("tied", [True, False])
def test_with_lora_small_matrices_and_the_new_tokens_learn_and_no_weight(tmp_path, tied):
    model = tiny_lalm.lalm(tmp_path, tied=tied)
    before = copy_weights(model)
    model.prepare_for_training(LORA)
    train_steps(model)
    after = copy_weights(model)
    for name, tensor in before.items():
        if name.startswith("llm."):
            renamed = name.replace("_proj.weight", "_proj.base_layer.weight")
            renamed = renamed.replace("_proj.bias", "_proj.base_layer.bias")
            assert torch.equal(tensor, after.get(renamed, after.get(name))), name
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    of_llm = {name for name in trainable if name.startswith("llm.")}
    # Two matrices for each of two targets in each of two layers.
    assert len(of_llm) == 8
    assert all(".lora_A." in name or ".lora_B." in name for name in of_llm)
    assert "new_tokens.weight" in trainable
    start = before["llm.model.embed_tokens.weight"][-3:]
    assert (after["new_tokens.weight"] != start).any(dim=1).all()


@needs_peft
@pytest.mark.parametrize("tied", [True, False])
def test_what_lora_learned_becomes_part_of_the_weights_and_a_plain_checkpoint(tmp_path, tied):
    model = tiny_lalm.lalm(tmp_path / "llm", tied=tied)
    names = set(model.state_dict())
    model.prepare_for_training(LORA)
    train_steps(model)
    with torch.no_grad():
        before = model.scores(tiny_lalm.features(2), TEXTS)
        model.merge_and_unload()
        merged = model.scores(tiny_lalm.features(2), TEXTS)
    assert set(model.state_dict()) == names
    torch.testing.assert_close(merged, before, atol=1e-5, rtol=1e-5)
    checkpoint.save_lalm(tmp_path / "saved", model, "beats.pt", {})
    loaded = checkpoint.load_lalm(tmp_path / "saved")
    with torch.no_grad():
        assert torch.equal(loaded.scores(tiny_lalm.features(2), TEXTS), merged)


@needs_peft
def test_lora_can_begin_where_lora_ended(tmp_path):
    model = tiny_lalm.lalm(tmp_path)
    for _ in range(2):
        model.prepare_for_training(LORA)
        train_steps(model, steps=2)
        model.merge_and_unload()
    assert not any("lora" in name for name in model.state_dict())


@needs_peft
def test_lora_names_a_target_that_the_model_has_not(tmp_path):
    lora = adaptation.Lora(rank=2, alpha=4.0, targets=("q_proj", "c_attn"))
    with pytest.raises(SoundjudgeError, match=r"c_attn.*down_proj.*q_proj"):
        tiny_lalm.lalm(tmp_path).prepare_for_training(replace(LORA, lora=lora))


def test_lora_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(SoundjudgeError, match=r"pip install 'soundjudge\[lora\]'"):
        tiny_lalm.lalm(tmp_path).prepare_for_training(LORA)


@pytest.mark.parametrize(
    ("training", "lora"), [("lora", None), ("full", LORA.lora), ("frozen", LORA.lora)]
)
def test_the_settings_of_lora_belong_to_lora(training, lora):
    with pytest.raises(SoundjudgeError, match="lora"):
        replace(FULL, training=training, lora=lora)


@pytest.mark.parametrize("values", [{"rank": 0}, {"alpha": 0.0}, {"targets": ()}])
def test_a_lora_of_no_size_is_refused(values):
    with pytest.raises(SoundjudgeError, match="lora needs"):
        replace(LORA.lora, **values)


@pytest.mark.parametrize("training", [FULL, FROZEN])
def test_checkpointing_recomputes_every_layer_and_changes_no_gradient(tmp_path, training):
    gradients, calls = [], []
    for checkpointing in (False, True):
        model = tiny_lalm.lalm(tmp_path / str(checkpointing), WITHOUT_DROPOUT)
        model.prepare_for_training(replace(training, gradient_checkpointing=checkpointing))
        count = 0

        def count_call(*_):
            nonlocal count
            count += 1

        for layer in model.llm.model.layers:
            layer.mlp.register_forward_pre_hook(count_call)
        model.train().scores(tiny_lalm.features(2), TEXTS).square().sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        calls.append(count)
        model.merge_and_unload()
        model.train().scores(tiny_lalm.features(2), TEXTS).sum().backward()
        assert count == calls[-1] + 2  # nothing is recomputed any more
    assert calls == [2, 4]  # two layers, once or twice
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def test_a_frozen_model_that_is_checkpointed_still_drops_nothing_out(tmp_path):
    model = tiny_lalm.lalm(tmp_path)
    model.prepare_for_training(replace(FROZEN, gradient_checkpointing=True))
    model.train()
    assert not any(layer.self_attn.training for layer in model.llm.model.layers)
    model.eval()
    assert not any(module.training for module in model.modules())


@pytest.mark.slow
def test_a_compiled_model_has_the_scores_and_gradients_of_the_plain_one(tmp_path, monkeypatch):
    original, graphs = nn.Module.compile, []

    def compile(self, **options):
        # Traced and differentiated as for any device; compiling to machine code takes a minute.
        def backend(graph, inputs):
            graphs.append(graph)
            return aot_eager(graph, inputs)

        original(self, backend=backend, **options)

    monkeypatch.setattr(nn.Module, "compile", compile)
    model = tiny_lalm.lalm(tmp_path, WITHOUT_DROPOUT)
    names, plain = set(model.state_dict()), backward(model)
    model.prepare_for_training(replace(FULL, compile=True))
    for tensor, expected in zip(backward(model), plain, strict=True):
        torch.testing.assert_close(tensor, expected, atol=1e-5, rtol=1e-5)
    assert graphs, "nothing was compiled"
    assert set(model.state_dict()) == names
    model.merge_and_unload()
    compiled = len(graphs)
    backward(model)
    assert len(graphs) == compiled


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_all_layers_and_lengths_share_two_graphs_in_training_and_one_in_validation(
    tmp_path, monkeypatch, attention
):
    original, graphs = nn.Module.compile, []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(nn.Module, "compile", lambda self: original(self, backend=backend))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = tiny_lalm.lalm(tmp_path, replace(WITHOUT_DROPOUT, attention=attention))
    model.prepare_for_training(replace(FULL, compile=True))
    counts = []
    for words in (1, 3, 2, 6):  # the first length, then all others
        model.scores(tiny_lalm.features(4), ["a " * words] * 4).sum().backward()
        counts.append(len(graphs))
    model.eval()
    with torch.no_grad():
        for batch, words in ((5, 4), (3, 2)):
            model.scores(tiny_lalm.features(batch), ["a " * words] * batch)
            counts.append(len(graphs))
    assert counts == [1, 2, 2, 2, 3, 3]
    assert not torch._dynamo.utils.counters["graph_break"]
    torch._dynamo.reset()


def backward(model):
    """Copies of the scores and of all gradients."""
    model.zero_grad()
    scores = model.train().scores(tiny_lalm.features(2), TEXTS)
    scores.square().sum().backward()
    return [t.detach().clone() for t in (scores, *(p.grad for p in model.parameters()))]


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama"])
@pytest.mark.parametrize("order", ["text_first", "audio_first"])
def test_any_causal_language_model_fits(tmp_path, kind, order):
    folder = tiny_lalm.llm_folder(tmp_path / "llm", kind=kind)
    config = replace(tiny_lalm.CONFIG, order=order)
    torch.manual_seed(1)
    model = Lalm.from_llm(folder, config, tiny_lalm.FRONTEND, tiny_lalm.FEATURE_DIM).eval()
    sounds = tiny_lalm.features(2)
    with torch.no_grad():
        together = model.scores(sounds, TEXTS)
        alone = [model.scores(sounds[i : i + 1], TEXTS[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)
    assert together.std() > 1e-4
    checkpoint.save_lalm(tmp_path / "saved", model, "beats.pt", {})
    loaded = checkpoint.load_lalm(tmp_path / "saved")
    assert type(loaded.llm).__name__ == type(model.llm).__name__
    with torch.no_grad():
        assert torch.equal(loaded.scores(sounds, TEXTS), together)
    assert loaded.caption_loss(sounds, TEXTS).isfinite()
    assert len(loaded.generate(sounds, max_tokens=2, num_beams=1)) == 2
