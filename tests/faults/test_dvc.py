"""Two runs of DVC at once, one cache of several users, a pipeline that has not run yet."""

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


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True)


def test_where_the_last_fit_has_not_run_dvc_does_what_its_page_says(tmp_path):
    """Two pipelines as here: that of the root has run and is committed, the last fit never ran."""
    folder = project(tmp_path / "project")
    (folder / ".dvc/config.local").unlink()  # this project is in git
    copying = (
        "stages:\n  {0}:\n    cmd: cp {1} {2}\n    wdir: {3}\n    deps: [{1}]\n    outs: [{2}]\n"
    )
    (folder / "dvc.yaml").write_text(copying.format("first", "input", "output", "."))
    (folder / "final").mkdir()
    (folder / "final/dvc.yaml").write_text(copying.format("last", "output", "final_output", ".."))
    (folder / ".gitignore").write_text("/output\n/final_output\n")
    (folder / ".dvc/.gitignore").write_text("/tmp\n/cache\n")
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "someone")
    git(folder, "config", "user.email", "someone@example.org")

    def dvc(*words: str) -> tuple[bool, str]:
        run = subprocess.run(
            [*DVC, *words], cwd=folder, env=environment(tmp_path), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
        )  # fmt: skip
        return run.returncode == 0, run.stdout

    assert dvc("repro")[0] and not (folder / "final_output").exists()
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    assert "last" in dvc("status")[1]
    assert "up to date" in dvc("status", "dvc.yaml")[1]

    (folder / "output").unlink()
    succeeded, words = dvc("checkout")
    assert not succeeded and "final_output" in words
    assert (folder / "output").read_text() == "1"
    assert dvc("checkout", "--allow-missing")[0]

    (folder / "input").write_text("2")
    assert dvc("repro")[0]
    for command in ("commit", "exp save"):
        succeeded, words = dvc(*command.split(), "--force")
        assert not succeeded and "final_output" in words
        assert dvc(*command.split(), "--force", "dvc.yaml")[0]
