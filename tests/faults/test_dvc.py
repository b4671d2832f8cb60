"""Two runs of DVC at once, and one cache of several users: equal results, or a sentence."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import ROOT

DVC = [sys.executable, "-m", "dvc"]
SLOW = (
    "stages:\n  slow:\n    cmd: sleep 3; cp input output\n    deps: [input]\n    outs: [output]\n"
)
NOBODY = 65_534


def project(folder: Path, cache: Path | None = None) -> Path:
    """A pipeline of one stage, with this repository's settings of DVC."""
    (folder / ".dvc").mkdir(parents=True)
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    settings = "[core]\n    no_scm = true\n"
    if cache is not None:
        settings += f"[cache]\n    dir = {cache}\n    shared = group\n"
    (folder / ".dvc/config.local").write_text(settings)
    (folder / "dvc.yaml").write_text(SLOW)
    (folder / "input").write_text("1")
    return folder


def environment(home: Path) -> dict[str, str]:
    """DVC keeps a folder of the machine's, which another user may not have."""
    return {**os.environ, "HOME": str(home), "DVC_SITE_CACHE_DIR": str(home / "site")}


def repro(
    folder: Path, home: Path, wrap: Callable[[list[str]], list[str]] = list, **options: int
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        wrap([*DVC, "repro"]), cwd=folder, env=environment(home), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


@pytest.mark.slow
def test_of_two_runs_in_one_folder_both_end_well_or_one_names_the_lock(tmp_path):
    folder = project(tmp_path / "project")
    runs = [repro(folder, tmp_path) for _ in range(2)]
    told = [run.communicate(timeout=300)[0] for run in runs]
    assert 0 in [run.returncode for run in runs], told
    for run, words in zip(runs, told, strict=True):
        assert run.returncode == 0 or "lock" in words, words
        assert "Traceback" not in words
    assert (folder / "output").read_text() == "1"
    again = repro(folder, tmp_path)
    assert "is up to date" in again.communicate(timeout=300)[0] or again.returncode == 0
    assert again.returncode == 0


def as_a_member_of_the_group(command: list[str]) -> list[str]:
    """Root, to whom files are closed that belong to someone else and not to the group."""
    rights = "-dac_override,-dac_read_search,-fowner,-chown"
    return ["setpriv", "--bounding-set", rights, "--inh-caps", rights, *command]


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)
def test_two_users_share_one_cache(tmp_path):
    """`cache.shared` is group; the first user has a strict umask, the second is in their group."""
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o770)
    first, second = (project(tmp_path / name, cache) for name in ("first", "second"))
    run = repro(first, tmp_path, umask=0o077)
    assert run.communicate(timeout=300)[0] is not None and run.returncode == 0
    for path in (cache, *cache.rglob("*")):
        os.chown(path, NOBODY, 0)  # who made it is someone else
    shutil.copy(first / "dvc.lock", second / "dvc.lock")
    words = repro(second, tmp_path, wrap=as_a_member_of_the_group, umask=0o077)
    told = words.communicate(timeout=300)[0]
    assert words.returncode == 0, told
    assert "is cached" in told  # nothing runs again
    assert (second / "output").read_text() == "1"
    (second / "input").write_text("2")
    again = repro(second, tmp_path, wrap=as_a_member_of_the_group, umask=0o077)
    told = again.communicate(timeout=300)[0]
    assert again.returncode == 0, told
    assert (second / "output").read_text() == "2"
