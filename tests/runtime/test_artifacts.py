"""Writes are whole or not at all, and bytes depend on contents alone."""

import json
import os
from pathlib import Path

import pytest
import torch

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts


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


def test_a_files_contents_are_on_the_disk_before_its_name_and_then_its_name(tmp_path, monkeypatch):
    """In another order, a power failure could leave an empty file in the place of the old one."""
    path, events, rename = tmp_path / "x.txt", [], os.replace

    def note_flush(handle):
        there = os.fstat(handle)
        every = (*tmp_path.iterdir(), tmp_path)
        events.extend(one.name for one in every if os.path.samestat(one.stat(), there))

    def note_rename(source, target):
        events.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(os, "replace", note_rename)
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text("new")
    assert events == [temporary.name, "rename", tmp_path.name]
    assert path.read_text() == "new"


def test_a_folder_replaces_all_of_the_old_one(tmp_path):
    path = tmp_path / "out"
    for name in ("a", "b"):
        with artifacts.atomic_folder(path) as folder:
            (folder / name).write_text(name)
    assert [file.name for file in path.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_all_of_a_folder_is_on_the_disk_before_its_name_and_then_its_name(tmp_path, monkeypatch):
    path, events, rename = tmp_path / "out", [], os.rename

    def note_flush(handle):
        there = os.fstat(handle)
        every = (*tmp_path.rglob("*"), tmp_path)
        events.extend(one.name for one in every if os.path.samestat(one.lstat(), there))

    def note_rename(source, target):
        events.append("rename")
        rename(source, target)

    with artifacts.atomic_folder(path) as folder:
        (folder / "old").write_text("old")
    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(os, "rename", note_rename)
    with artifacts.atomic_folder(path) as folder:
        (folder / "inner").mkdir()
        (folder / "inner/a").write_text("a")
        (folder / "link").symlink_to("nowhere")
    assert set(events[:-4]) == {"inner", "a"}
    assert events[-4:] == [folder.name, "rename", "rename", tmp_path.name]
    assert [file.name for file in sorted(path.iterdir())] == ["inner", "link"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "out"
    with artifacts.atomic_folder(path) as folder:
        (folder / "a").write_text("a")
    with pytest.raises(RuntimeError), artifacts.atomic_folder(path) as folder:
        (folder / "b").write_text("b")
        raise RuntimeError
    assert [file.name for file in path.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [artifacts.atomic_file, artifacts.atomic_folder])
@pytest.mark.parametrize("name", [".", "/"])
def test_the_working_folder_and_the_root_are_not_replaced(write, name):
    with pytest.raises(SoundjudgeError, match="cannot be replaced"), write(Path(name)):
        pass


def test_what_a_killed_run_left_does_not_hinder_the_next(tmp_path):
    path = tmp_path / "out"
    killed = tmp_path / ".part-out"
    killed.mkdir()
    (killed / "half").write_text("half")
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


def test_metrics_for_people_are_some_of_the_details_at_any_depth(tmp_path):
    numbers = {
        "note": "n",
        "srcc": 0.5,
        "test": {"srcc": 0.6, "p": 0.1, "a": {"srcc": 0.7}},
        "e": {},
    }
    artifacts.write_metrics(tmp_path / "x.json", numbers, ["note", "srcc"])
    assert artifacts.read_json(tmp_path / "details/x.json") == numbers
    expected = {"note": "n", "srcc": 0.5, "test": {"srcc": 0.6, "a": {"srcc": 0.7}}}
    assert artifacts.read_json(tmp_path / "x.json") == expected


def test_json_refuses_nan_and_names_a_broken_file(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(ValueError, match=r"cannot write .*x\.json"):
        artifacts.write_json(path, {"srcc": float("nan")})
    assert not path.exists()
    path.write_text("{")
    with pytest.raises(SoundjudgeError, match=r"x\.json is not valid JSON"):
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


def test_tensors_come_back_and_their_bytes_do_not_depend_on_order(tmp_path):
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.ones(2, dtype=torch.bfloat16)}
    path, reordered = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    artifacts.save_tensors(path, tensors)
    artifacts.save_tensors(reordered, dict(reversed(tensors.items())))
    assert path.read_bytes() == reordered.read_bytes()
    loaded = artifacts.load_tensors(path)
    assert torch.equal(loaded["b"], tensors["b"])
    assert loaded["a"].dtype == torch.bfloat16
    path.write_text(json.dumps({}))
    with pytest.raises(SoundjudgeError, match=r"1\.safetensors is not a readable"):
        artifacts.load_tensors(path)


def test_floats_of_json_have_six_digits_unless_it_is_exact(tmp_path):
    data = {"a": [2 / 3, (1e-17, 123456789)], "b": {"c": True, "d": "0.123456789"}}
    artifacts.write_json(tmp_path / "x.json", data)
    expected = {"a": [0.666667, [0.0, 123456789]], "b": {"c": True, "d": "0.123456789"}}
    assert artifacts.read_json(tmp_path / "x.json") == expected
    artifacts.write_json(tmp_path / "exact.json", data, digits=None)
    assert artifacts.read_json(tmp_path / "exact.json")["a"][0] == 2 / 3
