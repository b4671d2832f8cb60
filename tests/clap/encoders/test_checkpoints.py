"""A CLAP of any kind by its path, and foreign files that hold more than weights."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import torch

from soundjudge.clap.encoders import checkpoints, weight_files
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts


class Command:
    def __reduce__(self):
        return os.mkdir, ("run",)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_weights_and_plain_values_is_read(tmp_path: Path, protocol, zipped):
    saved = {
        "epoch": 3,
        "loss": np.float64(0.25),
        "state_dict": {"a": torch.arange(3.0), "b": torch.nn.Parameter(torch.ones(2))},
    }
    path = tmp_path / "clap.pt"
    torch.save(saved, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    content = weight_files.read_weights(path, None)
    assert content["epoch"] == 3 and content["loss"] == 0.25
    assert content["state_dict"]["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_and_runs_none(in_folder, protocol, zipped):
    path = Path("clap.pt")
    torch.save({"state_dict": Command()}, path, pickle_protocol=protocol,
               _use_new_zipfile_serialization=zipped)  # fmt: skip
    with pytest.raises(SoundjudgeError, match=r"mkdir.*the sha256 beside its path in params\.yaml"):
        weight_files.read_weights(path, None)
    assert not Path("run").exists()
    weight_files.read_weights(path, artifacts.sha256(path))  # the user's word counts
    assert Path("run").exists()


def test_a_pickle_that_is_no_torch_file_is_refused_too(in_folder):
    Path("clap.pt").write_bytes(pickle.dumps(Command()))
    with pytest.raises(SoundjudgeError):
        weight_files.read_weights(Path("clap.pt"), None)
    assert not Path("run").exists()


def test_another_sha256_than_that_of_the_params_is_refused(tmp_path: Path):
    tiny_clap.clap().save(tmp_path)
    with pytest.raises(SoundjudgeError, match="0000"):
        checkpoints.load_encoder(ClapSource(tmp_path, sha256="0" * 64), "cpu")
    right = artifacts.sha256(tmp_path / "model.safetensors")
    source = ClapSource(tmp_path, sha256=right.upper())
    assert checkpoints.load_encoder(source, "cpu").dimensions == 8


def test_a_sha256_of_a_file_that_is_not_there_is_refused(tmp_path: Path):
    tiny_clap.clap().save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(
        SoundjudgeError, match=r"model\.safetensors does not exist: there is no file to"
    ):
        checkpoints.load_encoder(ClapSource(tmp_path, sha256="0" * 64), "cpu")


@pytest.mark.parametrize("content", [b"", b"not a file of torch's", b"PK\x03\x04broken"])
def test_a_broken_file_is_refused_by_its_name(tmp_path: Path, content):
    (tmp_path / "clap.pt").write_bytes(content)
    with pytest.raises(SoundjudgeError, match=r"clap\.pt is not a readable PyTorch checkpoint"):
        checkpoints.load_encoder(ClapSource(tmp_path / "clap.pt"), "cpu")


def test_the_kind_is_told_by_the_names_in_a_folder(tmp_path: Path):
    for name, files in {
        "transformers": ("config.json", "preprocessor_config.json", "training.pt"),
        "laion": ("630k-audioset-best.pt", "config.json", "tokenizer.json"),
        "m2d": ("portable_m2d.py",),
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
        assert checkpoints.clap_kind(tmp_path / name) == name
    assert checkpoints.clap_kind(tmp_path / "laion/630k-audioset-best.pt") == "laion"
    (tmp_path / "unpacked/m2d_clap_vit_base-80x1001").mkdir(parents=True)  # without NTT's code
    assert checkpoints.clap_kind(tmp_path / "unpacked") == "m2d"
    assert checkpoints.clap_kind(tmp_path / "nowhere") == "transformers"


def test_a_transformers_folder_is_opened_as_one(tmp_path: Path):
    tiny_clap.clap().save(tmp_path)
    assert isinstance(checkpoints.load_encoder(ClapSource(tmp_path), "cpu"), TransformersClap)


def test_a_folder_with_two_files_of_laions_asks_for_one(tmp_path: Path):
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).touch()
    with pytest.raises(SoundjudgeError, match=r"2 \.pt files"):
        checkpoints.load_encoder(ClapSource(tmp_path), "cpu")


def test_a_hub_id_out_of_reach_says_how_to_get_it(in_folder):
    with pytest.raises(SoundjudgeError, match="hf download someone/no-such-clap --local-dir"):
        checkpoints.load_encoder(ClapSource(Path("someone/no-such-clap")), "cpu")


def test_a_hub_id_is_opened_from_the_hubs_folder(in_folder, monkeypatch):
    tiny_clap.clap().save(Path("cache"))
    requests = []

    def snapshot(repository, revision, allow_patterns):
        requests.append((repository, revision))
        return "cache"

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    clap = checkpoints.load_encoder(ClapSource(Path("laion/clap-htsat-unfused@v1")), "cpu")
    assert clap.name() == tiny_clap.clap().name()
    assert requests == [("laion/clap-htsat-unfused", "v1")]


def test_a_path_that_is_not_there_is_named(in_folder):
    with pytest.raises(SoundjudgeError, match=r"nowhere.*config\.json"):
        checkpoints.load_encoder(ClapSource(Path("nowhere")), "cpu")
    with pytest.raises(SoundjudgeError, match=r"nowhere\.pt does not exist"):
        checkpoints.load_encoder(ClapSource(Path("nowhere.pt")), "cpu")
