"""PE-AV: equal to transformers' own forward pass, free of batch-mates, strict with its folder."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import PeAudioConfig, PeAudioFeatureExtractor, PeAudioModel, PeAudioVideoConfig

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.pe_audio import PeAudioClap
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.spectrogram import resample_waves
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

TEXTS = ["a dog barks", "rain", "a bell rings then a cat"]
LAYERS = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 8}
LAYERS |= {"num_attention_heads": 2}
DAC = {"model_type": "dac", "encoder_hidden_size": 2, "downsampling_ratios": [2, 8, 10, 12]}
AUDIO = {**LAYERS, "dac_config": {**DAC, "codebook_dim": 4}}
TEXT = {
    "model_type": "modernbert",
    "vocab_size": 124,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "cls_token_id": 0,
    "sep_token_id": 2,
}


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


def enlarge(model: torch.nn.Module) -> torch.nn.Module:
    """The model with larger weights, so that its embeddings differ."""
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1 and "alpha" not in name:
                torch.nn.init.normal_(weights, std=0.3)
    return model.eval()


def write_folder(folder: Path, model: torch.nn.Module) -> Path:
    model.save_pretrained(folder)
    tiny_clap.tokenizer().save_pretrained(folder)
    PeAudioFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model() -> PeAudioModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return enlarge(PeAudioModel(PeAudioConfig(text_config=TEXT, audio_config=AUDIO)))


@pytest.fixture(scope="module")
def folder(model: PeAudioModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pe"), model)


@pytest.fixture(scope="module")
def clap(folder: Path) -> PeAudioClap:
    loaded = checkpoints.load_encoder(ClapSource(folder), "cpu")
    assert isinstance(loaded, PeAudioClap)
    return loaded


def reference(model: PeAudioModel, waves: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines' two sides by transformers' processor and forward pass, a batch at once."""
    rate = 48_000
    sounds = [s.float().numpy() for s in resample_waves(waves, 30.0, rate, torch.device("cpu"))]
    inputs = PeAudioFeatureExtractor()(sounds, sampling_rate=rate, return_tensors="pt")
    tokens = tiny_clap.tokenizer()(TEXTS[: len(waves)], padding=True, return_tensors="pt")
    with torch.no_grad():
        output = model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], **inputs
        )
    normalize = torch.nn.functional.normalize
    return normalize(output.audio_embeds, dim=-1), normalize(output.text_audio_embeds, dim=-1)


def test_embeddings_equal_those_of_transformers(model, clap):
    waves = [noise(5_000), noise(5_000, 1), noise(5_000, 2)]
    sounds, texts = reference(model, waves)
    with torch.no_grad():
        np.testing.assert_allclose(clap.embed_sounds(waves), sounds, atol=1e-5)
        np.testing.assert_allclose(clap.embed_texts(TEXTS), texts, atol=1e-5)
    assert (sounds @ texts.T).std() > 0.01
    assert (clap.sample_rate, clap.dimensions, clap.window_seconds) == (48_000, 16, 30.0)


def test_no_embedding_depends_on_its_batch_mates(clap):
    waves = [noise(5_000), noise(9_000, 1), noise(700, 2), noise(5_000, 3), noise(1, 4)]
    with torch.no_grad():
        together = clap.embed_sounds(waves)
        for row, wave in enumerate(waves):
            np.testing.assert_allclose(together[row], clap.embed_sounds([wave])[0], atol=1e-5)
        words = clap.embed_texts(TEXTS)
        for row, text in enumerate(TEXTS):
            np.testing.assert_allclose(words[row], clap.embed_texts([text])[0], atol=1e-5)
        silence = clap.embed_sounds([np.zeros(5_000, np.float32)])
    assert torch.isfinite(silence).all()
    np.testing.assert_allclose(together.norm(dim=-1), 1.0, atol=1e-5)


def test_what_is_behind_the_window_or_the_longest_text_does_not_count(folder, clap):
    short = PeAudioClap.load(folder, "cpu")
    short.window_seconds = 0.5
    wave = noise(16_000)
    with torch.no_grad():
        assert torch.equal(short.embed_sounds([wave]), clap.embed_sounds([wave[:8_000]]))
        assert not torch.equal(short.embed_sounds([wave]), clap.embed_sounds([wave]))
    assert clap.cut_texts(["a dog", "a dog " * 30]) == [False, True]


def test_a_judges_copy_is_the_same_and_its_bytes_repeat(folder, clap, tmp_path):
    for name in ("a", "b"):
        checkpoints.copy_encoder(ClapSource(folder), tmp_path / name)
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")
    again = checkpoints.load_encoder(ClapSource(tmp_path / "a"), "cpu")
    with torch.no_grad():
        assert torch.equal(again.embed_texts(TEXTS), clap.embed_texts(TEXTS))
    assert again.name() == clap.name()
    assert re.fullmatch(r"pe-audio-[0-9a-f]{8}/48k-first30s-reflect/projection@1", clap.name())


def test_the_part_for_sound_of_an_audio_video_model_is_read(tmp_path, monkeypatch):
    """Of the class that is published; what encodes frames of video (timm's) stands in."""
    video = transformers.models.pe_video.modeling_pe_video

    class Frames:
        @staticmethod
        def from_config(config, **_):
            holder = torch.nn.Linear(2, 2)
            holder.config = config
            return holder

    monkeypatch.setattr(video, "AutoModelForImageClassification", Frames)
    frames = {"model_type": "timm_wrapper", "num_classes": 16, "architecture": "none"}
    parts = {
        "audio_config": {"model_type": "pe_audio_encoder", **AUDIO},
        "video_config": {"model_type": "pe_video_encoder", **LAYERS, "vision_config": frames},
    }
    try:
        config = PeAudioVideoConfig(text_config=TEXT, audio_video_config={**LAYERS, **parts})
    except ImportError:
        pytest.skip("this release of transformers needs timm for the configuration alone")
    whole = enlarge(transformers.PeAudioVideoModel(config))
    write_folder(tmp_path, whole)
    assert any(
        name.startswith("video_model.") for name in load_file(tmp_path / "model.safetensors")
    )
    clap = checkpoints.load_encoder(ClapSource(tmp_path), "cpu")
    waves = [noise(5_000), noise(5_000, 1), noise(5_000, 2)]
    sounds, texts = reference(whole.audio_model, waves)
    with torch.no_grad():
        np.testing.assert_allclose(clap.embed_sounds(waves), sounds, atol=1e-5)
        np.testing.assert_allclose(clap.embed_texts(TEXTS), texts, atol=1e-5)


def changed(folder: Path, target: Path, **config: object) -> Path:
    """A copy of the folder with another config."""
    checkpoints.copy_encoder(ClapSource(folder), target)
    values = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(values | config))
    return target


def test_another_configuration_of_equal_weights_is_another_name(folder, clap, tmp_path):
    other = PeAudioClap.load(changed(folder, tmp_path, text_config=TEXT | {"norm_eps": 0.1}), "cpu")
    with torch.no_grad():
        assert not torch.equal(other.embed_texts(TEXTS), clap.embed_texts(TEXTS))
    assert other.name() != clap.name()


def test_a_model_of_frames_is_refused(folder, tmp_path):
    frames = changed(folder, tmp_path / "f", architectures=["PeAudioFrameLevelModel"])
    with pytest.raises(SoundjudgeError, match="embeds frames, not whole sounds"):
        checkpoints.load_encoder(ClapSource(frames), "cpu")


def test_weights_that_lack_or_exceed_are_refused(folder, tmp_path):
    checkpoints.copy_encoder(ClapSource(folder), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["audio_head.proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SoundjudgeError, match=r"missing \['audio_head\.proj\.weight'\]"):
        checkpoints.load_encoder(ClapSource(tmp_path), "cpu")


def test_a_processor_of_another_checkpoint_is_refused(folder, tmp_path):
    checkpoints.copy_encoder(ClapSource(folder), tmp_path)
    PeAudioFeatureExtractor(hop_length=960).save_pretrained(tmp_path)
    with pytest.raises(SoundjudgeError, match="a hop of 960 samples, the model one of 1920"):
        checkpoints.load_encoder(ClapSource(tmp_path), "cpu")


def test_tuning_it_is_refused_with_the_way_to_use_it(folder):
    with pytest.raises(SoundjudgeError, match=r"can't be tuned.*regress\.extra_encoders"):
        checkpoints.load_tunable(ClapSource(folder), "cpu")
