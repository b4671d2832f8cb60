"""Fingerprints see every change, and read large files once."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from soundjudge import errors
from soundjudge.runtime import artifacts, file_system, rounding, work


@dataclass(frozen=True)
class Settings:
    rate: float
    folder: Path


def test_a_fingerprint_changes_with_params_and_inputs_and_nothing_else(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("1")
    params = Settings(rate=0.1, folder=Path("x"))
    first = work.fingerprint(params, [source])
    assert len(first) == 16
    assert first == work.fingerprint(Settings(rate=0.1, folder=Path("x")), [source])
    assert first != work.fingerprint(Settings(rate=0.2, folder=Path("x")), [source])
    source.write_text("2")
    assert first != work.fingerprint(params, [source])
    with pytest.raises(TypeError):
        work.fingerprint({"x": object()}, [])


def test_a_fingerprint_reads_a_large_input_once_and_again_when_it_has_changed(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(artifacts, "REMEMBERED_BYTES", 3)
    folder = tmp_path / "features"
    folder.mkdir()
    (folder / "large").write_text("123")
    (folder / "small").write_text("12")
    read, sha256 = [], artifacts.sha256
    monkeypatch.setattr(artifacts, "sha256", lambda path: (read.append(path.name), sha256(path))[1])

    def fingerprint() -> str:
        read.clear()
        return work.fingerprint({}, [folder])

    first = fingerprint()
    assert (read.count("large"), read.count("small")) == (1, 1)
    assert fingerprint() == first
    assert (read.count("large"), read.count("small")) == (0, 1)
    assert artifacts.remembered_sha256(folder) == sha256(folder)
    state = (folder / "large").stat()
    (folder / "large").write_text("124")
    os.utime(folder / "large", ns=(state.st_atime_ns, state.st_mtime_ns))  # as if nothing had been
    assert fingerprint() != first
    assert read.count("large") == 1
    for file in (tmp_path / "cache/soundjudge/sha256").iterdir():
        file.write_text("half a su")  # killed while it wrote
    assert artifacts.remembered_sha256(folder) == sha256(folder)


@pytest.mark.slow
def test_processes_that_start_together_read_a_large_input_once(tmp_path):
    script = """
import sys, time
from pathlib import Path
from soundjudge.runtime import artifacts, work
artifacts.REMEMBERED_BYTES = 1
sha256 = artifacts.sha256
def slow(path):
    if path.name == "input":
        with open("read", "a") as file:
            file.write("once ")
        time.sleep(2)
    return sha256(path)
artifacts.sha256 = slow
print(work.fingerprint({}, [Path("input")]))
"""
    (tmp_path / "input").write_text("123")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    prints = {rank.communicate(timeout=60)[0] for rank in ranks}
    assert len(prints) == 1
    assert (tmp_path / "read").read_text() == "once "


@pytest.mark.slow
def test_a_fingerprint_sees_the_code_that_is_loaded(tmp_path):
    # A copy of the package, so that its source can be edited.
    package = tmp_path / "soundjudge"
    (package / "runtime").mkdir(parents=True)
    for module in (errors, artifacts, file_system, rounding, work):
        source = Path(module.__file__)
        copy = package / source.relative_to(Path(errors.__file__).parent)
        copy.write_text(source.read_text(encoding="utf-8"))
    (package / "__init__.py").write_text("")
    run = [
        sys.executable,
        "-c",
        "from soundjudge.runtime.work import fingerprint as f; print(f(1, []))",
    ]

    def fingerprint() -> str:
        return subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    before = fingerprint()
    assert before == fingerprint()
    (package / "__init__.py").write_text("# changed\n")
    assert before != fingerprint()


def test_a_work_folder_is_named_by_stage_and_fingerprint(in_folder):
    folder = work.work_folder("pretrain", {"a": 1}, [])
    assert folder.is_dir()
    assert folder == Path("work/pretrain") / work.fingerprint({"a": 1}, [])
