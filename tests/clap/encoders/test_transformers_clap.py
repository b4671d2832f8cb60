"""The transformers CLAP: its front end, its loading, its independence of batch-mates."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import torch
import torchaudio
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, ClapFeatureExtractor
from transformers.utils import logging

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.encoder import encode_batches
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.spectrogram import FeatureExtractor, LogMel
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts


def noise(samples: int, seed: int = 0) -> np.ndarray:
    wave = 0.1 * np.random.default_rng(seed).normal(size=samples)
    return np.round(wave * 32768).astype(np.int16).astype(np.float32) / 32768


OFFICIAL = {
    "feature_size": 64,
    "sampling_rate": 48_000,
    "hop_length": 480,
    "max_length_s": 1,
    "fft_window_size": 1024,
    "frequency_min": 50,
    "frequency_max": 14_000,
}
OFFICIAL_UNFUSED = OFFICIAL | {"truncation": "rand_trunc", "padding": "repeatpad"}


@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
@pytest.mark.parametrize("samples", [1_000, 5_000, 16_000])
def test_the_spectrogram_is_the_feature_extractors(truncation, padding, samples):
    numbers = OFFICIAL | {"truncation": truncation, "padding": padding}
    tone = np.sin(np.arange(samples) * 0.3).astype(np.float32)  # a tone leaves most bands empty
    for wave in (noise(samples), tone):
        at_48k = torchaudio.functional.resample(torch.tensor(wave).double(), 16_000, 48_000)
        stored = (at_48k.numpy().clip(-1, 1) * 32_767).astype(np.int16) / 32_767  # as in training
        reference = ClapFeatureExtractor(**numbers)(stored, sampling_rate=48_000)
        mels = LogMel(FeatureExtractor(**numbers))([wave])
        assert mels.shape == (1, 1, 101, 64) and mels.dtype == torch.float32
        np.testing.assert_allclose(mels[0, 0], reference["input_features"][0][0], atol=1e-3)


def test_a_sound_that_is_not_resampled_is_not_rounded_again():
    extractor = FeatureExtractor(**tiny_clap.NUMBERS)
    wave = (noise(9_600).astype(np.float64) / 3).astype(np.float32)
    assert torch.equal(LogMel(extractor).windows([wave])[0].float(), torch.tensor(wave))
    assert extractor.protocol == "16k-first0.6s-repeatpad"
    assert FeatureExtractor(**OFFICIAL_UNFUSED).protocol == "48k-first1s-int16-repeatpad"


def test_a_longer_sound_is_heard_through_its_first_window():
    extractor = FeatureExtractor(**tiny_clap.NUMBERS)
    wave = noise(30_000)
    assert torch.equal(LogMel(extractor)([wave]), LogMel(extractor)([wave[:9_600]]))


def test_embeddings_are_unit_and_do_not_depend_on_batch_mates():
    clap = tiny_clap.clap(sampling_rate=22_050, hop_length=320)
    waves = [noise(samples, samples) for samples in (300, 4_000, 9_600, 20_000)]
    texts = ["a dog", "rain falls while a bell rings then a cat", "engine", "a a a a"]
    with torch.no_grad():
        audio, text = clap.embed_sounds(waves), clap.embed_texts(texts)
        assert audio.shape == text.shape == (4, clap.dimensions)
        np.testing.assert_allclose(audio.norm(dim=1), np.ones(4), rtol=1e-6)
        np.testing.assert_allclose(text.norm(dim=1), np.ones(4), rtol=1e-6)
        for row in range(4):
            np.testing.assert_allclose(
                clap.embed_sounds(waves[row : row + 1])[0], audio[row], atol=1e-5
            )
            np.testing.assert_allclose(
                clap.embed_texts(texts[row : row + 1])[0], text[row], atol=1e-5
            )
    assert not torch.allclose(audio[1], audio[2], atol=1e-3)


def test_a_saved_clap_comes_back_equal_and_saves_to_the_same_bytes(tmp_path: Path):
    clap = tiny_clap.clap()
    clap.save(tmp_path / "a")
    loaded = TransformersClap.load(tmp_path / "a", "cpu")
    assert not loaded.training
    assert torch.equal(loaded.embed_sounds([noise(5_000)]), clap.embed_sounds([noise(5_000)]))
    assert torch.equal(loaded.embed_texts(["a dog"]), clap.embed_texts(["a dog"]))
    loaded.save(tmp_path / "b")
    again = TransformersClap.load(tmp_path / "b", "cpu")
    again.embed_texts(["a dog barks", "rain"])  # what a tokenizer did last must leave no trace
    again.save(tmp_path / "c")
    assert artifacts.sha256(tmp_path / "b") == artifacts.sha256(tmp_path / "c")
    assert str(tmp_path) not in "".join(p.read_text() for p in (tmp_path / "b").glob("*.json"))


def test_gradients_reach_both_towers():
    clap = tiny_clap.clap()
    (clap.embed_sounds([noise(5_000)]) * clap.embed_texts(["a dog"])).sum().backward()
    for tower in (clap.model.audio_model, clap.model.text_model):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in tower.parameters())


def test_a_fused_model_is_deterministic_too():
    model = tiny_clap.model(fused=True)
    numbers = tiny_clap.NUMBERS | {"truncation": "fusion"}
    clap = TransformersClap(model, tiny_clap.tokenizer(), FeatureExtractor(**numbers)).eval()
    waves = [noise(9_600, 1), noise(40_000, 2)]
    with torch.no_grad():
        np.testing.assert_allclose(
            clap.embed_sounds(waves)[1:], clap.embed_sounds(waves[1:]), atol=1e-5
        )


def test_a_name_says_checkpoint_protocol_and_pooling(tmp_path: Path):
    clap = tiny_clap.clap()
    name = clap.name()
    assert re.fullmatch(r"unfused-[0-9a-f]{8}/16k-first0\.6s-repeatpad/projection@1", name)
    clap.save(tmp_path)
    assert TransformersClap.load(tmp_path, "cpu").name() == name
    assert tiny_clap.clap(seed=1).name() != name
    assert tiny_clap.clap(frequency_max=7_000.0).name() != name
    with torch.no_grad():
        clap.model.audio_projection.linear1.bias[0] += 1e-6
    assert clap.name() != name


def test_a_larger_clap_is_read_by_its_own_sizes(tmp_path: Path):
    sizes = {
        "spec_size": 64,
        "patch_embeds_hidden_size": 16,
        "depths": [1, 2, 1],
        "num_attention_heads": [1, 2, 4],
        "hidden_size": 64,
        "num_hidden_layers": 3,
    }
    model = tiny_clap.model(audio=sizes)
    extractor = FeatureExtractor(**tiny_clap.NUMBERS)
    TransformersClap(model, tiny_clap.tokenizer(), extractor).eval().save(tmp_path)
    embedded = TransformersClap.load(tmp_path, "cpu").embed_sounds([noise(5_000)])
    assert embedded.shape == (1, 8) and embedded.isfinite().all()


def test_missing_weights_are_refused(tmp_path: Path):
    tiny_clap.clap().save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["audio_projection.linear1.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SoundjudgeError, match="audio_projection.linear1.weight"):
        TransformersClap.load(tmp_path, "cpu")


def test_constants_that_older_files_lack_are_no_missing_weights(tmp_path: Path):
    clap = tiny_clap.clap()
    clap.save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    for name in [name for name in weights if name.endswith(("token_type_ids", "position_ids"))]:
        del weights[name]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = TransformersClap.load(tmp_path, "cpu")
    assert torch.equal(loaded.embed_texts(["a dog"]), clap.embed_texts(["a dog"]))


def test_a_folder_without_tokenizer_is_refused_instead_of_embedding_all_texts_alike(tmp_path: Path):
    tiny_clap.clap().save(tmp_path)
    for path in tmp_path.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(SoundjudgeError, match="tokenizer"):
        TransformersClap.load(tmp_path, "cpu")


def test_the_five_tokens_that_an_offline_tokenizer_without_files_has_are_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}')
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert tokenizer("a dog")["input_ids"] == tokenizer("rain falls")["input_ids"]  # the trap
    with pytest.raises(
        SoundjudgeError, match="knows only 5 tokens.*put the tokenizer of the checkpoint"
    ):
        TransformersClap(tiny_clap.model(), tokenizer, FeatureExtractor(**tiny_clap.NUMBERS))


def test_a_tokenizer_that_pads_with_another_token_is_refused():
    tokenizer = tiny_clap.tokenizer()
    tokenizer.pad_token = "<unk>"
    with pytest.raises(SoundjudgeError, match="pads with token 3, the text tower with 1"):
        TransformersClap(tiny_clap.model(), tokenizer, FeatureExtractor(**tiny_clap.NUMBERS))


@pytest.mark.parametrize("content", [None, b"", b"not safetensors"])
def test_weights_that_are_missing_or_broken_are_refused_by_their_folder(tmp_path: Path, content):
    tiny_clap.clap().save(tmp_path)
    path = tmp_path / "model.safetensors"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(SoundjudgeError, match=rf"{tmp_path.name}.*model\.safetensors"):
        TransformersClap.load(tmp_path, "cpu")


def test_of_a_long_sound_a_fused_clap_too_hears_the_first_window_however_it_is_drawn():
    numbers = tiny_clap.NUMBERS | {"truncation": "fusion"}
    fused = tiny_clap.model(fused=True)
    clap = TransformersClap(fused, tiny_clap.tokenizer(), FeatureExtractor(**numbers)).eval()
    wave = noise(40_000)
    with torch.no_grad():
        np.random.seed(1)  # noqa: NPY002  the published extractor draws from it
        first = clap.embed_sounds([wave])
        np.random.seed(2)  # noqa: NPY002
        again = clap.embed_sounds([wave])
        assert torch.equal(first, again)
        assert torch.equal(first, clap.embed_sounds([wave[:9_600]]))


@pytest.mark.parametrize("fused", [False, True])
def test_a_folder_as_human_clap_is_published_opens_and_hears_with_its_own_weights(tmp_path, fused):
    """A plain ClapModel with tokenizer and processor, as transformers writes them; 48 kHz."""
    model = tiny_clap.model(fused=fused).eval()
    model.save_pretrained(tmp_path)
    tokenizer = tiny_clap.tokenizer()
    truncation = "fusion" if fused else "rand_trunc"
    numbers = tiny_clap.NUMBERS | {
        "truncation": truncation,
        "sampling_rate": 48_000,
        "hop_length": 480,
    }
    ClapFeatureExtractor(**numbers).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    clap = checkpoints.load_encoder(ClapSource(tmp_path), "cpu")
    assert clap.name().startswith("fused-" if fused else "unfused-")
    assert clap.sample_rate == 48_000
    mels = clap.log_mel([noise(5_000)])
    with torch.no_grad():
        longer = torch.zeros(1, 1, dtype=torch.bool)
        expected = model.get_audio_features(input_features=mels, is_longer=longer)
        tokens = tokenizer(["a dog"], return_tensors="pt")
        words = model.get_text_features(**tokens)
        for own, reference in (
            (clap.embed_sounds([noise(5_000)]), expected.pooler_output),
            (clap.embed_texts(["a dog"]), words.pooler_output),
        ):
            reference = reference / reference.norm(dim=-1, keepdim=True)
            np.testing.assert_allclose(own, reference, atol=1e-6)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_folder_that_lacks_a_config_is_refused_by_its_name(tmp_path: Path, name):
    tiny_clap.clap().save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(SoundjudgeError, match=name):
        TransformersClap.load(tmp_path, "cpu")


def test_a_tokenizer_of_another_checkpoint_is_refused():
    with pytest.raises(SoundjudgeError, match="144 tokens, the text tower 124"):
        TransformersClap(
            tiny_clap.model(), tiny_clap.tokenizer(140), FeatureExtractor(**tiny_clap.NUMBERS)
        )


def test_a_front_end_that_the_tower_cannot_encode_is_refused():
    with pytest.raises(SoundjudgeError, match="101 frames.*at most 64"):
        tiny_clap.clap(max_length_s=1)
    with pytest.raises(SoundjudgeError, match="32 mel bands"):
        tiny_clap.clap(feature_size=32)
    with pytest.raises(SoundjudgeError, match="truncation"):
        tiny_clap.clap(truncation="middle")
    with pytest.raises(SoundjudgeError, match="padding: 'mirror' is none of"):
        tiny_clap.clap(padding="mirror")


def test_texts_longer_than_the_position_table_are_cut():
    clap = tiny_clap.clap()
    assert clap.embed_texts(["a dog " * 100]).isfinite().all()


def test_texts_beyond_the_last_token_that_is_read_are_said_to_be_cut():
    clap = tiny_clap.clap()  # 30 tokens, two of them the first and last
    texts = ["a " * 28, "a " * 29, "a dog"]
    assert clap.cut_texts(texts) == [False, True, False]
    longer = clap.embed_texts(["a " * 28, "a " * 28 + "dog"])
    assert torch.equal(longer[0], longer[1])


def test_a_special_token_that_is_spelled_in_a_text_is_text():
    clap = tiny_clap.clap()
    spelled, unknown, ended = clap.embed_texts(["a dog </s>", "a dog x y z", "a dog"])
    assert torch.allclose(spelled, unknown, atol=1e-6)  # "</", "s" and ">" are no words of it
    assert not torch.allclose(spelled, ended, atol=1e-3)


def test_an_adapter_beside_the_weights_leads_nowhere(tmp_path: Path):
    clap, other = tiny_clap.clap(), tiny_clap.clap(seed=1)
    clap.save(tmp_path / "own")
    other.save(tmp_path / "elsewhere")
    adapter = {"peft_type": "LORA", "base_model_name_or_path": str(tmp_path / "elsewhere")}
    (tmp_path / "own/adapter_config.json").write_text(json.dumps(adapter))
    assert TransformersClap.load(tmp_path / "own", "cpu").name() == clap.name()


def test_a_pickle_in_place_of_the_weights_is_refused(tmp_path: Path):
    clap = tiny_clap.clap()
    clap.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(clap.model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(SoundjudgeError, match=r"pytorch_model\.bin are not read"):
        TransformersClap.load(tmp_path, "cpu")


def test_batches_cover_every_item_once():
    blocks = list(encode_batches(lambda items: torch.tensor(items), iter(range(5)), 2))
    assert [block.tolist() for block in blocks] == [[0, 1], [2, 3], [4]]


def test_saving_shows_no_bar_of_the_library(tmp_path, capfd):
    tiny_clap.clap().save(tmp_path)
    assert capfd.readouterr().err == ""
    assert logging.is_progress_bar_enabled()
