"""Encoders of sound or of text alone: the same as by their own libraries, and strict."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_one_sided
import torch
from transformers import WhisperFeatureExtractor

from soundjudge.clap.encoders import checkpoints, packaged_weights, whisper
from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.sentence_transformer import SentenceTransformer
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.whisper import WhisperMeans
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

TEXTS = ["a dog barks", "rain", "a bell rings then a dog barks while rain falls", ""]
KINDS = ("whisper", "sentence")


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


WRITERS = {"whisper": tiny_one_sided.write_whisper, "sentence": tiny_one_sided.write_sentence}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in folders.items():
        WRITERS[kind](folder)
    return folders


def load(folder: Path) -> ClapEncoder:
    return checkpoints.load_encoder(ClapSource(folder), "cpu")


def test_whispers_mean_is_over_the_frames_of_the_sound_alone(tmp_path):
    model = tiny_one_sided.write_whisper(tmp_path)
    encoder = load(tmp_path)
    assert isinstance(encoder, WhisperMeans)
    waves = [noise(16_000), noise(321, 1), noise(40_000, 2)]  # 50 frames, 2 of 320 samples, all
    mels = WhisperFeatureExtractor(**tiny_one_sided.FRONTEND)(
        waves, sampling_rate=16_000, return_tensors="pt"
    )
    with torch.no_grad():
        states = model.model.encoder(mels.input_features).last_hidden_state
        sounds = encoder.embed_sounds(waves)
    for row, frames in enumerate([50, 2, 100]):
        mean = states[row, :frames].mean(dim=0)
        np.testing.assert_allclose(sounds[row], mean / mean.norm(), atol=1e-5)
    assert (sounds[0] - sounds[1]).abs().max() > 0.01
    assert (encoder.dimensions, encoder.window_seconds) == ((16, 1), 2.0)
    assert re.fullmatch(r"whisper-[0-9a-f]{8}/16k-first2s-zeros/mean@1", encoder.name())


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_a_sentence_is_the_mean_of_its_tokens_or_the_first_as_its_modules_say(tmp_path, pooling):
    model = tiny_one_sided.write_sentence(tmp_path, pooling)
    encoder = load(tmp_path)
    assert isinstance(encoder, SentenceTransformer)
    with torch.no_grad():
        texts = encoder.embed_texts(TEXTS)
        for row, text in enumerate(TEXTS):
            ids = tiny_clap.tokenizer()(text)["input_ids"]
            ids = [*ids[:8], ids[-1]] if len(ids) > 9 else ids
            states = model(torch.tensor([ids])).last_hidden_state[0]
            sentence = states.mean(dim=0) if pooling == "mean_tokens" else states[0]
            np.testing.assert_allclose(texts[row], sentence / sentence.norm(), atol=1e-5)
    assert (encoder.dimensions, encoder.window_seconds) == ((1, 16), math.inf)
    assert encoder.cut_texts(TEXTS) == [False, False, True, False]


def test_newer_folders_say_it_in_one_word(tmp_path):
    tiny_one_sided.write_sentence(tmp_path, "cls_token")
    old = load(tmp_path)
    config = {"embedding_dimension": 16, "pooling_mode": "cls", "include_prompt": True}
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps(config))
    assert load(tmp_path).name() == old.name()
    assert old.name().endswith("/9-tokens/first@1")


@pytest.mark.slow
def test_all_minilm_l6_v2_opens_as_published():
    try:
        folder = packaged_weights.MINILM.find()
    except SoundjudgeError:
        pytest.skip(f"needs {packaged_weights.INSTALL}")
    encoder = load(folder)
    texts = ["a dog barks", "rain falls on a roof " * 80]
    # By the package sentence-transformers 6.2.0, brought to length 1.
    expected = [
        [0.043433, -0.037521, 0.050417, 0.09343],
        [-0.039722, -0.066445, 0.05176, -0.070504],
    ]
    with torch.no_grad():
        np.testing.assert_allclose(encoder.embed_texts(texts)[:, :4], expected, atol=2e-6)
    assert encoder.cut_texts(texts) == [False, True]
    assert re.fullmatch(r"sentence-[0-9a-f]{8}/256-tokens/mean@1", encoder.name())


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_side_is_one_number_for_all_and_no_batch_mate_counts(folders, kind):
    encoder = load(folders[kind])
    waves = [noise(16_000), noise(700, 1), noise(1, 2), np.zeros(900, np.float32)]
    with torch.no_grad():
        sounds, texts = encoder.embed_sounds(waves), encoder.embed_texts(TEXTS)
        for row in range(4):
            np.testing.assert_allclose(
                sounds[row], encoder.embed_sounds([waves[row]])[0], atol=1e-5
            )
            np.testing.assert_allclose(texts[row], encoder.embed_texts([TEXTS[row]])[0], atol=1e-5)
    other = {"whisper": texts, "sentence": sounds}[kind]
    assert torch.equal(other, torch.ones(4, 1))
    for side in (sounds, texts):
        np.testing.assert_allclose(side.norm(dim=-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_judges_copy_is_the_same_and_its_bytes_repeat(folders, kind, tmp_path):
    for name in ("a", "b"):
        checkpoints.copy_encoder(ClapSource(folders[kind]), tmp_path / name)
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")
    one, other = load(folders[kind]), load(tmp_path / "a")
    assert one.name() == other.name() and one.dimensions == other.dimensions
    with torch.no_grad():
        assert torch.equal(one.embed_texts(TEXTS), other.embed_texts(TEXTS))
        assert torch.equal(one.embed_sounds([noise(900)]), other.embed_sounds([noise(900)]))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_no_clap_and_the_error_names_the_key(folders, kind):
    with pytest.raises(SoundjudgeError, match=r"name it in regress\.extra_encoders"):
        checkpoints.load_tunable(ClapSource(folders[kind]), "cpu")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_or_not_finite_or_another_is_refused(folders, kind, tmp_path):
    folder = tmp_path / kind
    shutil.copytree(folders[kind], folder)
    path = folder / "model.safetensors"
    tensors = artifacts.load_tensors(path)
    name = sorted(n for n in tensors if n.endswith("weight") and "decoder" not in n)[0]
    whole = path.read_bytes()
    for changed, message in (
        ({name: torch.full_like(tensors[name], torch.nan)}, "holds infinite numbers or none"),
        ({name: tensors[name][:1].contiguous()}, "other shape"),
        ({"strange.weight": torch.zeros(1)}, "strange"),
    ):
        artifacts.save_tensors(path, tensors | changed)
        with pytest.raises(SoundjudgeError, match=f"{re.escape(str(folder))}.*{message}"):
            load(folder)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SoundjudgeError, match="not a readable safetensors file"):
        load(folder)
    path.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(SoundjudgeError, match="pickles such as"):
        load(folder)


def test_a_front_end_of_another_whisper_is_refused(folders, tmp_path):
    folder = tmp_path / "whisper"
    shutil.copytree(folders["whisper"], folder)
    for change, message in (
        ({"feature_size": 12}, "makes 12 mel bands"),
        ({"chunk_length": 3}, "makes 300 frames"),
    ):
        WhisperFeatureExtractor(**(tiny_one_sided.FRONTEND | change)).save_pretrained(folder)
        with pytest.raises(SoundjudgeError, match=message):
            load(folder)


def test_a_whisper_without_encoder_is_refused():
    with pytest.raises(SoundjudgeError, match="no encoder"):
        whisper.encoder_weights({"model.decoder.a": torch.zeros(1)}, Path("w"))


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("modules.json", [{"type": "a.Transformer", "path": ""}, {"type": "a.Dense", "path": "d"}],
         "names Transformer, Dense: only"),
        ("modules.json", {"a": 1}, "modules.json can't be read"),
        ("modules.json", [{"type": "a.Transformer", "path": "0_T"},
                          {"type": "a.Pooling", "path": "1_Pooling"}], "in the folder itself"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "asks for max_tokens"),
        ("1_Pooling/config.json", {"pooling_mode": "weightedmean"}, "asks for weightedmean"),
        ("1_Pooling/config.json", {}, "asks for nothing"),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": 1},
         "asks for mean_tokens, cls_token"),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}, "puts a prompt"),
        ("sentence_bert_config.json", {"max_seq_length": "9"}, "counts tokens"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "lower case"),
        ("config.json", {"model_type": "strange"}, "config.json"),
    ],
)  # fmt: skip
def test_other_sentence_encoders_are_refused_in_a_sentence(
    folders, tmp_path, file, values, message
):
    folder = tmp_path / "sentence"
    shutil.copytree(folders["sentence"], folder)
    (folder / file).write_text(json.dumps(values))
    with pytest.raises(SoundjudgeError, match=re.escape(message)):
        load(folder)
