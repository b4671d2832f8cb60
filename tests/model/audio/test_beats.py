"""BEATs computes what its authors' network computes, and reads and writes their files."""

import json
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from beats_reference import reference

from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats import beats, fbank
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.runtime import artifacts

SMALL = BeatsConfig(
    embed_dim=24,
    encoder_layers=3,
    encoder_embed_dim=32,
    encoder_ffn_embed_dim=48,
    encoder_attention_heads=4,
    deep_norm=True,
    dropout=0.0,
    attention_dropout=0.0,
    conv_pos=16,
    conv_pos_groups=4,
    relative_position_embedding=True,
    num_buckets=32,
    max_distance=40,
    gru_rel_pos=True,
)


def random_beats(config=SMALL):
    torch.manual_seed(0)
    network = beats.Beats(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return network


def waves(samples=16_000):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(0, 0.1, (2, samples)).astype(np.float32))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gru_rel_pos": False},
        {"relative_position_embedding": False, "gru_rel_pos": False},
        {"deep_norm": False},
        {"deep_norm": False, "layer_norm_first": True},
        {"embed_dim": 32, "conv_bias": True, "activation_fn": "relu", "conv_pos": 15},
        {"finetuned_model": True, "predictor_class": 5},
    ],
)
def test_features_equal_those_of_the_reference(changes):
    network = random_beats(replace(SMALL, **changes))
    sound = waves()
    with torch.no_grad():
        expected = reference(network)(sound, torch.ones(2))[0]
        frames = network(fbank.log_mel_fbank(sound))
    assert frames.shape == (2, 48, 32)  # 98 frames: 6 whole patches of 16, 8 bands each
    torch.testing.assert_close(frames, expected, atol=1e-5, rtol=1e-5)


def test_distances_fall_into_exact_then_logarithmic_buckets():
    # 16 buckets per direction, the first 8 exact; 20 lies at 8 + 8 * ln(20/8) / ln(40/8) = 12.55
    distance = torch.tensor([0, -1, -7, -8, -20, -40, -1000, 1, 20])
    buckets = beats.relative_position_buckets(distance, SMALL).tolist()
    assert buckets == [0, 1, 7, 8, 12, 15, 15, 17, 28]


def test_the_names_are_those_of_the_official_checkpoints():
    names = set(random_beats(replace(SMALL, finetuned_model=True)).state_dict())
    layer = {f"encoder.layers.1.{name}" for name in layer_names()}
    assert layer <= names
    assert {name for name in names if not name.startswith("encoder.layers.")} == {
        "patch_embedding.weight",
        "layer_norm.weight",
        "layer_norm.bias",
        "post_extract_proj.weight",
        "post_extract_proj.bias",
        "encoder.pos_conv.0.weight_g",
        "encoder.pos_conv.0.weight_v",
        "encoder.pos_conv.0.bias",
        "encoder.layer_norm.weight",
        "encoder.layer_norm.bias",
        "predictor.weight",
        "predictor.bias",
    }
    assert {name for name in names if name.startswith("encoder.layers.1.")} == layer


def layer_names():
    linears = ("k_proj", "v_proj", "q_proj", "out_proj", "grep_linear")
    modules = [f"self_attn.{name}" for name in linears]
    modules += ["self_attn_layer_norm", "fc1", "fc2", "final_layer_norm"]
    names = [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]
    return [*names, "self_attn.grep_a", "self_attn.relative_attention_bias.weight"]


def test_iter3_has_its_ninety_million_weights_and_its_shapes():
    config = BeatsConfig(deep_norm=True, relative_position_embedding=True, gru_rel_pos=True)
    with torch.device("meta"):
        network = beats.Beats(config)
    assert 90.2e6 < sum(p.numel() for p in network.parameters()) < 90.5e6
    weights = network.state_dict()
    assert weights["encoder.pos_conv.0.weight_g"].shape == (1, 1, 128)
    assert weights["encoder.pos_conv.0.weight_v"].shape == (768, 48, 128)
    assert weights["encoder.layers.11.self_attn.relative_attention_bias.weight"].shape == (320, 12)


def test_every_weight_learns():
    network = beats.Beats(replace(SMALL, dropout=0.1, encoder_layerdrop=0.0)).train()
    network(torch.randn(2, 64, 128)).square().mean().backward()
    without_gradient = [name for name, p in network.named_parameters() if p.grad is None]
    assert without_gradient == []


@pytest.mark.parametrize("spelling", ["microsoft", "torch"])
@pytest.mark.parametrize("tuned", [False, True])
def test_an_official_file_is_read(tmp_path, spelling, tuned):
    network = random_beats(replace(SMALL, finetuned_model=tuned, predictor_class=5))
    path = tmp_path / "beats.pt"
    beats.save_beats(network, path)
    if spelling == "torch":
        content = torch.load(path)
        names = {ours: foreign for foreign, ours in beats.FOREIGN_NAMES.items()}
        content["model"] = {names.get(k, k): v for k, v in content["model"].items()}
        content["cfg"] |= {"layer_wise_gradient_decay_ratio": 0.6, "predictor_dropout": 0.0}
        torch.save(content, path)
    loaded = beats.load_beats(path)
    spectrogram = torch.randn(1, 64, 128)
    assert not loaded.training
    with torch.no_grad():
        torch.testing.assert_close(loaded(spectrogram), network(spectrogram), atol=0, rtol=0)


def test_a_folder_gives_the_same_network_back(tmp_path):
    network = random_beats()
    beats.save_beats_folder(network, tmp_path / "beats")
    loaded = beats.load_beats(tmp_path / "beats")
    spectrogram = torch.randn(1, 64, 128)
    with torch.no_grad():
        torch.testing.assert_close(loaded(spectrogram), network(spectrogram), atol=0, rtol=0)
    assert json.loads((tmp_path / "beats/config.json").read_text())["encoder_layers"] == 3


def test_a_missing_weight_is_an_error(tmp_path):
    content = {"cfg": asdict(SMALL), "model": random_beats().state_dict()}
    del content["model"]["encoder.layer_norm.bias"]
    torch.save(content, tmp_path / "beats.pt")
    with pytest.raises(SoundjudgeError, match=r"beats\.pt.*encoder\.layer_norm\.bias"):
        beats.load_beats(tmp_path / "beats.pt")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no such BEATs checkpoint"),
        (lambda path: path.write_bytes(b"nonsense"), "not a readable PyTorch checkpoint"),
        (lambda path: path.write_bytes(b""), "not a readable PyTorch checkpoint"),
        (lambda path: torch.save({"weights": {}}, path), "holds 'cfg' and 'model'"),
        (lambda path: path.mkdir(), r"no config\.json"),
    ],
)
def test_what_is_no_beats_is_refused(tmp_path, write, message):
    path = tmp_path / "beats.pt"
    write(path)
    with pytest.raises(SoundjudgeError, match=message):
        beats.load_beats(path)


@pytest.mark.parametrize("kept", [100, 5_000, -1])
def test_a_broken_download_is_refused(tmp_path, kept):
    path = tmp_path / "beats.pt"
    beats.save_beats(random_beats(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SoundjudgeError, match="not a readable PyTorch checkpoint"):
        beats.load_beats(path)


def test_a_sound_shorter_than_a_patch_is_refused():
    with pytest.raises(SoundjudgeError, match="at least 16 frames"):
        random_beats()(torch.zeros(1, 15, 128))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_fn": "glu"}, "activation_fn 'glu'"),
        ({"layer_norm_first": True}, "exclude"),
        ({"encoder_attention_heads": 5}, "no multiple"),
    ],
)
def test_a_configuration_that_this_network_cannot_be_is_refused(changes, message):
    with pytest.raises(SoundjudgeError, match=message):
        replace(SMALL, **changes)


def test_nothing_of_speechbrain_is_needed_to_run():
    assert not any(
        getattr(module, "__name__", "").startswith("speechbrain")
        for module in vars(sys.modules["soundjudge.model.audio.beats.beats"]).values()
    )


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        beats.save_beats(random_beats(), tmp_path / name / "beats.pt")
        beats.save_beats_folder(random_beats(), tmp_path / name / "beats")
    assert artifacts.sha256(tmp_path / "one") == artifacts.sha256(tmp_path / "two")
