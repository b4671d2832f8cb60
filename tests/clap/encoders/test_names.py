"""One name, one embedding: stored rows are found by an encoder's name.

Equal weights with another configuration or tokenizer are another encoder.
"""

import copy
import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_clap
import tiny_mgaclap
import tiny_msclap
import tiny_one_sided
import tiny_towers
import tiny_tuning
import torch

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.features import stored_clap
from soundjudge.data.arrays.array_store import write_rows

TEXTS = ["a dog barks", "A Dog, barks then rain falls while a bell rings", "word3 then word4"]
WRITERS: dict[str, Callable[[Path], Any]] = {
    "transformers": lambda folder: tiny_clap.clap().save(folder),
    "whisper": tiny_one_sided.write_whisper,
    "sentence": tiny_one_sided.write_sentence,
    "towers": lambda folder: tiny_towers.clap(with_categories=True).save(folder),
    "msclap": lambda folder: tiny_msclap.clap().save(folder),
    "mgaclap": lambda folder: tiny_mgaclap.clap().save(folder),
}


def waves() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(0.1 * rng.normal(size=size)).astype(np.float32) for size in (40_000, 900)]


def described(folder: Path) -> tuple[str, torch.Tensor]:
    """Name and all embeddings of what the folder holds."""
    clap = checkpoints.load_encoder(ClapSource(folder), "cpu")
    with torch.no_grad():
        sides = [clap.embed_sounds(waves()), clap.embed_texts(TEXTS)]
    return clap.name(), torch.cat([side.flatten() for side in sides])


known = functools.cache(described)  # of a folder that no test changes


def set_leaf(values: Any, path: tuple, value: Any) -> Any:  # noqa: ANN401
    changed = copy.deepcopy(values)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


# Kind, file, and what in it is changed: of equal weights that then embed otherwise.
CHANGED = [
    ("transformers", "config.json", ("text_config", "num_attention_heads"), 4),
    ("transformers", "config.json", ("text_config", "hidden_act"), "relu"),
    ("transformers", "config.json", ("audio_config", "hidden_act"), "relu"),
    ("transformers", "config.json", ("projection_hidden_act",), "gelu"),
    ("transformers", "preprocessor_config.json", ("frequency_max",), 7_000),
    ("transformers", "tokenizer.json", ("pre_tokenizer", "type"), "WhitespaceSplit"),
    ("transformers", "tokenizer.json", ("normalizer",), {"type": "Lowercase"}),
    ("whisper", "config.json", ("encoder_attention_heads",), 4),
    ("whisper", "config.json", ("activation_function",), "relu"),
    ("sentence", "config.json", ("num_attention_heads",), 4),
    ("sentence", "config.json", ("layer_norm_eps",), 0.1),
    ("sentence", "1_Pooling/config.json", ("pooling_mode_mean_tokens",), False),
    ("sentence", "sentence_bert_config.json", ("max_seq_length",), 5),
    ("sentence", "tokenizer.json", ("normalizer",), {"type": "Lowercase"}),
    ("towers", "text/config.json", ("num_attention_heads",), 4),
    ("towers", "text/tokenizer.json", ("normalizer",), {"type": "Lowercase"}),
    ("msclap", "msclap.json", ("text", "n_head"), 4),
    ("mgaclap", "mgaclap.json", ("text", "num_attention_heads"), 4),
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in WRITERS}
    for kind, folder in folders.items():
        WRITERS[kind](folder)
    return folders


@pytest.mark.parametrize(("kind", "file", "path", "value"), CHANGED)
def test_another_configuration_is_another_name(originals, tmp_path, kind, file, path, value):
    name, embedded = known(originals[kind])
    folder = tmp_path / "other"
    shutil.copytree(originals[kind], folder)
    values = json.loads((folder / file).read_text())
    changed = set_leaf(values, path, value)
    if value is False:  # one way of pooling for the other
        changed["pooling_mode_cls_token"] = True
    (folder / file).write_text(json.dumps(changed))
    other_name, other_embedded = described(folder)
    assert not torch.equal(other_embedded, embedded)
    assert other_name != name


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow) if kind in ("msclap", "mgaclap") else kind
        for kind in WRITERS
    ],
)
def test_what_moves_no_embedding_leaves_the_name(originals, tmp_path, kind):
    folder = tmp_path / "copy"
    checkpoints.copy_encoder(ClapSource(originals[kind]), folder)
    for file in folder.rglob("config.json"):
        values = json.loads(file.read_text())
        noted = {"transformers_version": "9.9.9", "initializer_range": 0.5, "_name_or_path": "x"}
        file.write_text(json.dumps(values | noted))
    name, embedded = described(folder)
    assert (name, torch.equal(embedded, known(originals[kind])[1])) == (
        known(originals[kind])[0],
        True,
    )
    clap = checkpoints.load_encoder(ClapSource(folder), "cpu")
    clap.embed_texts(TEXTS)  # a tokenizer remembers how its last batch was cut
    assert clap.name() == name


def test_rows_of_another_configuration_are_not_read(tmp_path):
    clips = tiny_tuning.write_store(tmp_path / "prepared")
    ids = [f"xacle/{number:05}.wav" for number in range(3)]
    first, other_folder = tmp_path / "first", tmp_path / "other"
    tiny_clap.clap().save(first)
    shutil.copytree(first, other_folder)
    values = json.loads((other_folder / "config.json").read_text())
    values["audio_config"]["hidden_act"] = "relu"
    (other_folder / "config.json").write_text(json.dumps(values))
    one, other = (
        checkpoints.load_encoder(ClapSource(path), "cpu") for path in (first, other_folder)
    )
    with torch.no_grad():
        encoders = stored_clap.clap_encoders([one, other], clips)
        assert len(encoders) == 4  # clips and texts of both: they are not taken for one
        for folder, encode in encoders.items():
            if folder.startswith("first/"):
                items = ids if folder.endswith("clips") else TEXTS
                write_rows(tmp_path / "features" / folder, items, [encode(items).numpy()])
        stored = stored_clap.StoredClap(other, torch.device("cpu"), clips, tmp_path / "features")
        sounds = [clips.wave(clip_id) for clip_id in ids]
        assert torch.equal(stored.embed_sounds(sounds), other.embed_sounds(sounds))
        assert not torch.equal(other.embed_sounds(sounds), one.embed_sounds(sounds))
