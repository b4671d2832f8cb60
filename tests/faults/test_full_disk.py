"""A training whose disk fills up is an error, loses nothing, and goes on when there is room."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_training
import torch
import yaml
from repository import run_stage

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.training.loop import states

CHECKPOINT = Path("checkpoints/caption")


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of its own, which `fill` leaves no room on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("whoever runs the tests may not mount a disk")
    try:
        monkeypatch.chdir(disk)
        tiny_training.repository(disk)
        params = yaml.safe_load(Path("params.yaml").read_text())
        params["caption"]["optimization"]["checkpoint_minutes"] = 1e-9  # a state at each step
        Path("params.yaml").write_text(yaml.safe_dump(params))
        yield disk
    finally:
        torch.use_deterministic_algorithms(False)
        monkeypatch.undo()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, bytes_left: int) -> Path:
    """A file that leaves so much room."""
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - bytes_left))
    return filler


@pytest.mark.parametrize("kilobytes_left", [0, 16, 100, 400])
def test_a_training_goes_on_when_there_is_room_again(small_disk: Path, kilobytes_left: int) -> None:
    run_stage("caption")
    whole = artifacts.sha256(CHECKPOINT)
    shutil.rmtree(CHECKPOINT)
    CHECKPOINT.mkdir()
    (CHECKPOINT / "older").write_text("the last good output\n")

    filler = fill(small_disk, 1024 * kilobytes_left)
    with pytest.raises((OSError, SoundjudgeError), match="full|No space left"):
        run_stage("caption")
    assert [path.name for path in CHECKPOINT.iterdir()] == ["older"]

    filler.unlink()
    run_stage("caption")
    assert artifacts.sha256(CHECKPOINT) == whole


@pytest.mark.parametrize("floats", [1, 1_000_000])
def test_a_state_that_finds_no_room_says_so_whatever_torch_makes_of_it(floats: int) -> None:
    with pytest.raises(SoundjudgeError, match="The disk of /dev is full"):
        states._save({"weights": torch.zeros(floats)}, Path("/dev/full"))
