"""Whatever was done to the files of an encoder: one sentence with their folder, or the encoder."""

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_clap
import tiny_laion
import tiny_lalm
import tiny_mgaclap
import tiny_msclap
import tiny_one_sided
import tiny_towers
import torch
from privileges import without_privileges

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.aisfx import CLASSES, AisfxNetwork
from soundjudge.clap.encoders.encoder import encode_batches
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.beats import Beats, load_beats, save_beats
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.model.lalm import checkpoint
from soundjudge.runtime import artifacts, model_folder

BEATS = BeatsConfig(
    embed_dim=8, encoder_layers=1, encoder_embed_dim=16, encoder_ffn_embed_dim=16,
    encoder_attention_heads=2, conv_pos=8, conv_pos_groups=2,
)  # fmt: skip


def write_beats(folder: Path) -> None:
    save_beats(Beats(BEATS), folder / "beats.pt")


def write_aisfx(folder: Path) -> None:
    state = AisfxNetwork(classes=CLASSES).state_dict()
    weights = {
        f"fc.{k.removeprefix('classifiers.')}"
        if k.startswith("classifiers.")
        else f"embedding_net.{k}": v
        for k, v in state.items()
    }
    torch.save((weights, []), folder / "checkpoint.pth")


WRITERS: dict[str, Callable[[Path], object]] = {
    "whisper": tiny_one_sided.write_whisper,
    "sentence": tiny_one_sided.write_sentence,
    "towers": lambda f: tiny_towers.clap(with_categories=True, with_tags=True).save(f),
    "clap": lambda folder: tiny_clap.clap(hop_length=320, max_length_s=1.2).save(folder),
    "laion": lambda f: tiny_laion.write(f / "630k.pt", tiny_laion.state(tiny_laion.model())),
    "msclap": lambda f: tiny_msclap.write(f, tiny_msclap.state(tiny_msclap.clap())),
    "mgaclap": lambda f: tiny_mgaclap.write(f, tiny_mgaclap.state(tiny_mgaclap.clap())),
    "beats": write_beats,
    "aisfx": write_aisfx,
    "lalm": lambda f: checkpoint.save_lalm(f, tiny_lalm.lalm(f.parent / "llm"), "x", {}),
}
PICKLES = {
    "laion": "630k.pt",
    "msclap": tiny_msclap.PUBLISHED,
    "mgaclap": tiny_mgaclap.PUBLISHED,
    "beats": "beats.pt",
    "aisfx": "checkpoint.pth",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {kind: tmp_path_factory.mktemp("kinds") / kind for kind in WRITERS}
    for kind, folder in folders.items():
        folder.mkdir()
        WRITERS[kind](folder)
    return folders


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda kind: Path(shutil.copytree(folders[kind], tmp_path / kind))


def load(kind: str, folder: Path) -> object:
    if kind == "beats":
        return load_beats(folder / PICKLES[kind])
    if kind == "aisfx":
        return AisfxNetwork.from_checkpoint(folder / PICKLES[kind])
    if kind == "lalm":
        return checkpoint.load_lalm(folder)
    return checkpoints.load_encoder(ClapSource(folder), "cpu")


def refused(kind: str, folder: Path, reason: str = "") -> None:
    with pytest.raises(SoundjudgeError, match=reason or None) as caught:
        load(kind, folder)
    (line,) = str(caught.value).splitlines()
    assert str(folder) in line


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_as_it_was_written_is_loaded(copy, kind):
    load(kind, copy(kind))


@pytest.mark.parametrize(
    ("kind", "file", "key", "value", "reason"),
    [
        ("whisper", "preprocessor_config.json", "dither", 0.1, "dither is 0.1: only 0.0"),
        ("whisper", "preprocessor_config.json", "dither", None, "dither is None"),
        ("whisper", "preprocessor_config.json", "padding_value", -1.0, "padding_value is -1.0"),
        ("whisper", "preprocessor_config.json", "padding_side", "left", "padding_side is 'left'"),
        ("whisper", "preprocessor_config.json", "n_fft", 10**12, "n_fft is 1000000000000"),
        ("whisper", "config.json", "dropout", 1.5, "dropout is 1.5: it must be 0 to 1"),
        ("whisper", "config.json", "encoder_layers", 2**70, "encoder_layers is .* at most"),
        ("sentence", "config.json", "layer_norm_eps", float("inf"), "layer_norm_eps is inf"),
        ("sentence", "config.json", "num_hidden_layers", 10**9, "num_hidden_layers is .* most"),
        ("towers", "towers.json", "dimensions", -1, "a width is -1"),
        ("towers", "towers.json", "audio", {"channels": [2, 10**12, 4, 6]}, "a width is 10000"),
        ("towers", "towers.json", "audio", {"channels": [2, 1.5, 4, 6]}, "a width is 1.5"),
        ("towers", "towers.json", "audio", {"channels": [2, 3, 4]}, "must be 4 widths"),
        ("towers", "towers.json", "audio", [], "is not as soundjudge writes it"),
        ("clap", "preprocessor_config.json", "frequency_max", float("nan"), ""),
    ],
)
def test_a_number_that_no_encoder_has_is_one_sentence(copy, kind, file, key, value, reason):
    folder = copy(kind)
    values = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(values | {key: value}))
    if reason:
        refused(kind, folder, reason)
    else:
        encoder: Any = load(kind, folder)
        with pytest.raises(SoundjudgeError, match="no finite vector"):
            list(encode_batches(encoder.embed_sounds, [np.ones(9, np.float32)], 1))


def test_strides_that_do_not_divide_the_spectrogram_are_refused(copy):
    folder = copy("clap")
    values = json.loads((folder / "config.json").read_text())
    values["audio_config"]["patch_stride"] = [3, 4]
    (folder / "config.json").write_text(json.dumps(values))
    refused("clap", folder, "it must divide spec_size")


@pytest.mark.parametrize("kind", ["sentence", "clap"])
def test_a_tokenizer_that_would_abort_the_process_is_refused(copy, kind):
    folder = copy(kind)
    values = json.loads((folder / "tokenizer.json").read_text())
    values["post_processor"]["special_tokens"].pop("</s>")
    (folder / "tokenizer.json").write_text(json.dumps(values))
    refused(kind, folder, "post_processor gives '</s>' no id")


def test_a_member_whose_tokenizer_has_another_vocabulary_is_refused(copy):
    folder = copy("lalm")
    values = json.loads((folder / "tokenizer.json").read_text())
    values["added_tokens"][0]["content"] = "x"
    (folder / "tokenizer.json").write_text(json.dumps(values))
    refused("lalm", folder, "its tokenizer has .* tokens, its language model")


FILES = [
    ("sentence", "1_Pooling/config.json"),
    ("sentence", "sentence_bert_config.json"),
    ("whisper", "config.json"),
    ("towers", "model.safetensors"),
    ("lalm", "member.json"),
    *PICKLES.items(),
]


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)  # whoever opened it would wait for ever


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(("kind", "file"), FILES)
@pytest.mark.parametrize("harm", [make_fifo, make_folder, lambda path: path.write_bytes(b"[]")])
def test_what_is_no_file_of_its_kind_is_refused(copy, kind, file, harm):
    folder = copy(kind)
    harm(folder / file)
    refused(kind, folder)


@pytest.mark.parametrize("name", ["a.json", "a.safetensors", "a.pt"])
def test_a_file_that_may_not_be_read_is_not_said_to_be_missing(name):
    from tempfile import TemporaryDirectory

    readers = {
        ".json": artifacts.read_json,
        ".safetensors": artifacts.load_tensors,
        ".pt": model_folder.read_checkpoint,
    }
    with TemporaryDirectory(dir="/tmp") as folder:  # which nobody may enter, but for this
        path = Path(folder) / name
        path.write_bytes(b"x")
        path.chmod(0)
        Path(folder).chmod(0o755)
        with without_privileges(), pytest.raises(SoundjudgeError, match="Permission denied"):
            readers[path.suffix](path)


def state_of(content: Any) -> dict[Any, Any]:
    if isinstance(content, tuple):
        return content[0]
    return content.get("state_dict") or content["model"]


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: None,
        lambda tensor: {"nested": tensor},
        lambda tensor: tensor.to("meta"),
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor.flatten(),
        lambda tensor: torch.tensor(1.0),
        lambda tensor: torch.zeros(1).expand(2**40, 2**10),
    ],
)
def test_a_pickle_with_other_tensors_is_one_sentence(copy, kind, change):
    folder = copy(kind)
    content = torch.load(folder / PICKLES[kind], weights_only=False)
    state = state_of(content)
    name = max(n for n, t in state.items() if n.endswith("weight") and t.dim() > 1)
    state[name] = change(state[name])
    torch.save(content, folder / PICKLES[kind])
    refused(kind, folder)


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b".",
        b"\x80\x02}q",
        b"\x80\x09.",
        b"\x80\x04\x95" + b"\xff" * 8,
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little"),  # asks for a terabyte
        b"\x80\x02U\x01xQ.",
        pickle.dumps(5),
    ],
)
def test_bytes_that_are_no_checkpoint_are_one_sentence(copy, kind, content):
    folder = copy(kind)
    (folder / PICKLES[kind]).write_bytes(content)
    refused(kind, folder, re.escape(PICKLES[kind]))
