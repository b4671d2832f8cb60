"""A killed stage ends with the bytes of one that was left alone, wherever the kill hit it."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny_training
import yaml
from repository import STAGES

from soundjudge.runtime import artifacts

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
EPOCHS, STEPS = 12, 48  # four lists an epoch, one a step
STOPS = sorted(np.random.default_rng(0).integers(1, STEPS * 2 // 3, 2).tolist())


def stage(root, name, *arguments):
    """Starts a stage in `root`."""
    command = [sys.executable, str(STAGES / f"{name}.py"), *arguments]
    return subprocess.Popen(command, cwd=root, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def run(root, name, *arguments):
    """Runs a stage to its end: what it said."""
    with stage(root, name, *arguments) as child:
        _, said = child.communicate(timeout=300)
    assert child.returncode == 0, said
    return said


def states(root):
    """Steps done at each state of `align` that lies in the work folder."""
    return sorted(int(path.stem.split("-")[1]) for path in root.glob("work/pretrain/*/state-*.pt"))


def kill(root, after):
    """Runs `align` up to a SIGKILL, some moment after the state of step `after` or a later one."""
    with stage(root, "pretrain") as child:
        end = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < end:
            if states(root)[-1:] >= [after]:
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
        child.communicate()
    assert child.returncode == -signal.SIGKILL, "the stage had ended before it could be killed"


def change(root, **values):
    """Changes keys of the section `pretrain`."""
    whole = yaml.safe_load((root / "params.yaml").read_text())
    whole["pretrain"].update(values)
    (root / "params.yaml").write_text(yaml.safe_dump(whole))


def outputs(root):
    paths = ("checkpoints/pretrain", "metrics/pretrain.json", "plots/pretrain/history.csv")
    return {path: artifacts.sha256(root / path) for path in paths}


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A repository with the training before `align`, dropout and all."""
    root = tmp_path_factory.mktemp("started")
    tiny_training.repository(root)
    steps = {"batch_size": 1, "epochs": EPOCHS, "checkpoint_steps": 3}
    change(root, optimization={**vars(tiny_training.OPTIMISATION), **steps})
    run(root, "caption")
    return root


@pytest.fixture(scope="module")
def straight(started, tmp_path_factory):
    root = tmp_path_factory.mktemp("straight") / "root"
    shutil.copytree(started, root)
    run(root, "pretrain")
    return root


@pytest.fixture(scope="module")
def killed(started, tmp_path_factory):
    root = tmp_path_factory.mktemp("killed") / "root"
    shutil.copytree(started, root)
    kill(root, STOPS[0])
    return root


def test_a_stage_killed_at_random_steps_ends_with_the_bytes_of_one_left_alone(
    tmp_path, killed, straight
):
    root = tmp_path / "root"
    shutil.copytree(killed, root)
    assert len(states(root)) <= 3  # two are kept; the kill may come before the third is dropped
    kill(root, STOPS[1])
    left = states(root)[-1]
    assert f"continued after step {left}" in run(root, "pretrain")
    assert outputs(root) == outputs(straight)
    assert not list(root.glob("work/*/*"))


def test_a_changed_parameter_never_continues_an_old_training(tmp_path, killed, straight):
    root = tmp_path / "root"
    shutil.copytree(killed, root)
    left = states(root)
    change(root, loss="listmle")
    assert "continued" not in run(root, "pretrain")
    assert outputs(root) != outputs(straight)
    assert states(root) == left  # the old one waits for its own parameters
