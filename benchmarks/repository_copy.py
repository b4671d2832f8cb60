"""A copy of the repository as a project of its own, which DVC runs without git."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from provenance import ROOT


def copy_repository(folder: Path, keep: Callable[[Path], bool] = lambda path: True) -> None:
    """Copies the files that git lists, as they are here, and of these what is to be kept."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for path in filter(keep, map(Path, listed.stdout.rstrip("\0").split("\0"))):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    subprocess.run(["dvc", "config", "--local", "core.no_scm", "true"], cwd=folder, check=True)
