"""Writes are whole or not at all, bytes depend on contents alone, fingerprints see every change."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from soundjudge.runtime import artifacts


@dataclass(frozen=True)
class Settings:
    rate: float
    folder: Path


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "deep" / "x.txt"
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), artifacts.atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_replaces_all_of_the_old_one(tmp_path):
    path = tmp_path / "out"
    for name in ("a", "b"):
        with artifacts.atomic_folder(path) as folder:
            (folder / name).write_text(name)
    assert [file.name for file in path.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "out"
    with artifacts.atomic_folder(path) as folder:
        (folder / "a").write_text("a")
    with pytest.raises(RuntimeError), artifacts.atomic_folder(path) as folder:
        (folder / "b").write_text("b")
        raise RuntimeError
    assert [file.name for file in path.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_does_not_hinder_the_next(tmp_path):
    path = tmp_path / "out"
    killed = artifacts.atomic_folder(path)
    (killed.__enter__() / "half").write_text("half")
    with artifacts.atomic_folder(path) as folder:
        (folder / "whole").write_text("whole")
    assert [file.name for file in path.iterdir()] == ["whole"]


def test_json_is_canonical_and_comes_back(tmp_path):
    path = tmp_path / "x.json"
    artifacts.write_json(path, {"b": 0.1, "a": ["é", None]})
    assert (
        path.read_text(encoding="utf-8") == '{\n  "a": [\n    "é",\n    null\n  ],\n  "b": 0.1\n}\n'
    )
    assert artifacts.read_json(path) == {"a": ["é", None], "b": 0.1}


def test_json_refuses_nan_and_names_a_broken_file(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(ValueError, match=r"cannot write .*x\.json"):
        artifacts.write_json(path, {"srcc": float("nan")})
    assert not path.exists()
    path.write_text("{")
    with pytest.raises(ValueError, match=r"x\.json is not valid JSON"):
        artifacts.read_json(path)


def test_sha256_of_a_file_is_the_known_one_and_a_folder_sees_names_and_contents(tmp_path):
    file = tmp_path / "f" / "abc"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    assert artifacts.sha256(file).startswith("ba7816bf8f01cfea414140de5dae2223")
    before = artifacts.sha256(file.parent)
    file.rename(file.with_name("abd"))
    renamed = artifacts.sha256(file.parent)
    file.with_name("abd").write_bytes(b"abd")
    assert len({before, renamed, artifacts.sha256(file.parent)}) == 3


def test_a_fingerprint_changes_with_params_and_inputs_and_nothing_else(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("1")
    params = Settings(rate=0.1, folder=Path("x"))
    first = artifacts.fingerprint(params, [source])
    assert len(first) == 16
    assert first == artifacts.fingerprint(Settings(rate=0.1, folder=Path("x")), [source])
    assert first != artifacts.fingerprint(Settings(rate=0.2, folder=Path("x")), [source])
    source.write_text("2")
    assert first != artifacts.fingerprint(params, [source])
    with pytest.raises(TypeError):
        artifacts.fingerprint({"x": object()}, [])


def test_a_fingerprint_sees_the_code_that_is_loaded(tmp_path):
    # A copy of the package, so that its source can be edited.
    package = tmp_path / "soundjudge"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "artifacts.py").write_text(Path(artifacts.__file__).read_text(encoding="utf-8"))
    run = [
        sys.executable,
        "-c",
        "from soundjudge.artifacts import fingerprint as f; print(f(1, []))",
    ]

    def fingerprint() -> str:
        return subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    before = fingerprint()
    assert before == fingerprint()
    (package / "__init__.py").write_text("# changed\n")
    assert before != fingerprint()


def test_a_work_folder_is_named_by_stage_and_fingerprint(in_folder):
    folder = artifacts.work_folder("pretrain", {"a": 1}, [])
    assert folder.is_dir()
    assert folder == Path("work/pretrain") / artifacts.fingerprint({"a": 1}, [])


def test_tensors_come_back_and_their_bytes_do_not_depend_on_order(tmp_path):
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.ones(2, dtype=torch.bfloat16)}
    one, two = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    metadata = {name: name for name in "qwertyuiop"}
    artifacts.save_tensors(one, tensors, metadata)
    artifacts.save_tensors(two, dict(reversed(tensors.items())), dict(reversed(metadata.items())))
    assert one.read_bytes() == two.read_bytes()
    loaded = artifacts.load_tensors(one)
    assert torch.equal(loaded["b"], tensors["b"])
    assert loaded["a"].dtype == torch.bfloat16
    one.write_text(json.dumps({}))
    with pytest.raises(ValueError, match=r"1\.safetensors is not a readable"):
        artifacts.load_tensors(one)
