"""LAION's own files: every name accounted for, every size read, the same embeddings."""

import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_laion
import torch
import transformers

from soundjudge.clap.encoders import checkpoints, laion
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.spectrogram import FeatureExtractor
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.errors import SoundjudgeError

# The names in `CLAP_Module(enable_fusion=True)` of laion-clap 1.1.5, with N for the number of a
# layer or block, and `position_ids`, which official files hold, too.
RECORDED = set(Path(__file__).with_name("laion_names.txt").read_text().split())
HAS_PACKAGE = importlib.util.find_spec("laion_clap") is not None


def without_numbers(names: Iterable[str]) -> set[str]:
    return {re.sub(r"(layers?|blocks)\.\d+", r"\1.N", name) for name in names}


def noise(samples: int, seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


@pytest.mark.parametrize("fused", [False, True])
def test_the_table_knows_every_name_of_a_laion_file_and_no_other(fused):
    fusion = {name for name in RECORDED if re.search("fusion_model|mel_conv2d", name)}
    names = without_numbers(tiny_laion.state(tiny_laion.model(fused)))
    assert names == (RECORDED if fused else RECORDED - fusion)


@pytest.mark.parametrize("fused", [False, True])
def test_every_weight_arrives_and_the_rest_is_dropped_knowingly(fused):
    model = tiny_laion.model(fused)
    state = tiny_laion.state(model)
    renamed = laion.rename_weights(state)
    weights = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if not key.endswith(("position_ids", "token_type_ids"))
    }
    assert renamed.keys() == weights.keys()
    assert all(torch.equal(renamed[key], weights[key]) for key in weights)
    dropped = [name for name in state if not laion.rename_weights({name: state[name]})]
    patterns = [re.sub(r"\bN\b", r"\\d+", re.escape(name)) + ".*" for name in laion.DROPPED]
    assert all(any(re.fullmatch(p, name) for p in patterns) for name in dropped)
    assert len(dropped) == 18


@pytest.mark.parametrize("fused", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_file_of_laions_hears_and_reads_as_its_weights_do(tmp_path: Path, fused):
    model = tiny_laion.model(fused)
    path = tiny_laion.write(tmp_path / "630k.pt", tiny_laion.state(model))
    loaded = checkpoints.load_encoder(ClapSource(path), "cpu")
    extractor = FeatureExtractor(**laion.FRONTEND, truncation="fusion" if fused else "rand_trunc")
    tokenizer = tiny_clap.tokenizer()
    tokenizer.model_max_length = 77
    expected = TransformersClap(model, tokenizer, extractor).eval()
    waves, texts = [noise(6_000, 1), noise(170_000, 2)], ["a dog", "a bell " * 90]
    with torch.no_grad():
        assert torch.equal(loaded.embed_sounds(waves), expected.embed_sounds(waves))
        assert torch.equal(loaded.embed_texts(texts), expected.embed_texts(texts))
    assert loaded.name() == expected.name()
    assert loaded.name().endswith("/48k-first10s-int16-repeatpad/projection@1")
    loaded.save(tmp_path / "saved")
    assert TransformersClap.load(tmp_path / "saved", "cpu").name() == loaded.name()


@pytest.mark.parametrize("fused", [False, True])
def test_the_sizes_are_read_from_the_weights(fused):
    model = tiny_laion.model(fused)
    config = laion.infer_config(tiny_laion.state(model))
    for part in ("text_config", "audio_config"):
        inferred, expected = getattr(config, part).to_dict(), getattr(model.config, part).to_dict()
        others = {"patch_stride", "fusion_type", "depths", "num_attention_heads"}
        sizes = [name for name in expected if "size" in name or "num" in name or "eps" in name]
        names = [name for name in sizes if name not in others]
        assert {n: inferred[n] for n in names} == {n: expected[n] for n in names}
    assert list(config.audio_config.depths) == [2, 2]
    assert list(config.audio_config.num_attention_heads) == [2, 2]
    assert config.audio_config.enable_fusion is fused
    assert config.projection_dim == 8


def test_a_name_that_no_table_has_is_refused(tmp_path: Path):
    state = tiny_laion.state(tiny_laion.model()) | {"audio_branch.extra.weight": torch.zeros(1)}
    with pytest.raises(SoundjudgeError, match=r"audio_branch\.extra\.weight.*HTSAT and a RoBERTa"):
        laion.load_laion(tiny_laion.write(tmp_path / "a.pt", state), "cpu", None)


@pytest.mark.parametrize(
    "name",
    [
        "audio_branch.layers.1.blocks.0.attn.qkv.bias",
        "text_projection.2.weight",
        "audio_branch.logmel_extractor.melW",
        "audio_branch.layers.0.blocks.1.attn_mask",
    ],
)
def test_a_missing_weight_is_named(tmp_path: Path, name):
    state = tiny_laion.state(tiny_laion.model())
    del state[name]
    ending = ".".join(name.split(".")[-2:])
    with pytest.raises(SoundjudgeError, match=f"{re.escape(ending)}|attention.self.query.bias"):
        laion.load_laion(tiny_laion.write(tmp_path / "a.pt", state), "cpu", None)


def test_another_front_end_than_the_published_one_is_refused(tmp_path: Path):
    state = tiny_laion.state(tiny_laion.model())
    state["audio_branch.logmel_extractor.melW"] = torch.zeros(513, 64)
    with pytest.raises(SoundjudgeError, match="mel filters"):
        laion.load_laion(tiny_laion.write(tmp_path / "a.pt", state), "cpu", None)
    state = tiny_laion.state(tiny_laion.model())
    state["audio_branch.spectrogram_extractor.stft.conv_real.weight"] = torch.ones(513, 1, 1024)
    with pytest.raises(SoundjudgeError, match="the window of this CLAP"):
        laion.load_laion(tiny_laion.write(tmp_path / "a.pt", state), "cpu", None)


def test_a_file_without_tokenizer_beside_it_says_which_files_to_get(tmp_path: Path):
    path = tiny_laion.write(tmp_path / "a.pt", tiny_laion.state(tiny_laion.model()))
    for file in tmp_path.glob("*.json"):
        file.unlink()
    with pytest.raises(SoundjudgeError, match=r"roberta-base's config\.json, tokenizer\.json"):
        laion.load_laion(path, "cpu", None)


def test_a_config_without_vocabulary_beside_a_file_is_no_tokenizer(tmp_path: Path):
    path = tiny_laion.write(tmp_path / "a.pt", tiny_laion.state(tiny_laion.model()))
    for file in tmp_path.glob("*.json"):
        file.unlink()
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}')
    with pytest.raises(SoundjudgeError, match="knows only 5 tokens"):
        laion.load_laion(path, "cpu", None)


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path):
    torch.save([1, 2], tmp_path / "a.pt")
    with pytest.raises(SoundjudgeError, match="no weights"):
        laion.load_laion(tmp_path / "a.pt", "cpu", None)


def test_without_the_package_its_backend_says_how_to_go_on(tmp_path: Path):
    if HAS_PACKAGE:
        pytest.skip("laion-clap is installed")
    path = tiny_laion.write(tmp_path / "a.pt", tiny_laion.state(tiny_laion.model()))
    source = ClapSource(path, backend="laion-clap")
    with pytest.raises(SoundjudgeError, match="width 8"):
        checkpoints.load_encoder(source, "cpu")
    with pytest.raises(SoundjudgeError, match="can't be tuned"):
        checkpoints.load_tunable(source, "cpu")
    from soundjudge.clap.encoders import laion_backend

    with pytest.raises(SoundjudgeError, match=r"not installed: pip install 'soundjudge\[laion\]'"):
        laion_backend.build_package_model("HTSAT-tiny", False, transformers.RobertaConfig(), "cpu")
    tiny_clap.clap().save(tmp_path / "folder")
    with pytest.raises(SoundjudgeError, match=r"no \.pt file"):
        checkpoints.load_encoder(replace(source, path=tmp_path / "folder"), "cpu")


@pytest.mark.skipif(not HAS_PACKAGE, reason="laion-clap is not installed (extra: laion)")
@pytest.mark.parametrize("fused", [False, True])
def test_the_packages_own_model_embeds_as_ours(tmp_path: Path, monkeypatch, fused):
    from soundjudge.clap.encoders import laion_backend

    monkeypatch.setattr(sys, "argv", ["soundjudge", "score", "--no-option-of-theirs"])
    before = list(sys.path)
    text = transformers.RobertaConfig(
        vocab_size=124,
        hidden_size=768,
        num_hidden_layers=1,
        num_attention_heads=12,
        intermediate_size=64,
        max_position_embeddings=80,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = laion_backend.build_package_model("HTSAT-tiny", fused, text, "cpu").model
        for name, weights in model.named_parameters():
            if not any(part in name for part in ("norm", "extractor", "logit")):
                torch.nn.init.normal_(weights, std=0.05)
    model.audio_branch.bn0.running_mean.fill_(-40.0)
    model.audio_branch.bn0.running_var.fill_(400.0)
    recorded = RECORDED - {"text_branch.embeddings.position_ids"}
    assert not fused or without_numbers(model.state_dict()) == recorded
    path = tiny_laion.write(tmp_path / "630k.pt", model.state_dict())

    package = ClapSource(path, backend="laion-clap")
    theirs = checkpoints.load_encoder(package, "cpu")
    ours = checkpoints.load_encoder(ClapSource(path), "cpu")
    tone = 0.5 * np.sin(np.arange(160_000) * 0.1).astype(np.float32)
    waves = [noise(4_000, 1), noise(60_000, 2), noise(170_000, 3), tone]
    texts = ["a dog", "rain falls while a bell rings then a cat", "engine", "a bell " * 60]
    with torch.no_grad():
        np.testing.assert_allclose(ours.embed_sounds(waves), theirs.embed_sounds(waves), atol=1e-4)
        np.testing.assert_allclose(ours.embed_texts(texts), theirs.embed_texts(texts), atol=1e-4)
        np.testing.assert_allclose(
            theirs.embed_texts(texts[:1]), ours.embed_texts(texts[:1]), atol=1e-4
        )
        assert (ours.embed_sounds(waves) - ours.embed_sounds(waves[:1])).abs().max() > 0.01
        assert (ours.embed_texts(texts) - ours.embed_texts(texts[:1])).abs().max() > 0.01
    assert theirs.name().split("/")[1:] == ours.name().split("/")[1:]
    assert sys.path == before and sys.argv[1] == "score"
    assert not {"training", "hook", "clap_module"} & set(sys.modules)
    with pytest.raises(SoundjudgeError, match="can't be tuned"):
        checkpoints.load_tunable(package, "cpu")
