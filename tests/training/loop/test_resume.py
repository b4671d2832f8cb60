"""A stage killed at any step ends with the bytes of an uninterrupted one."""

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

pytestmark = pytest.mark.slow
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
EPOCHS, EPOCH_STEPS = 12, 4  # lists an epoch, one a step
STEPS = EPOCHS * EPOCH_STEPS
STOPS = sorted(np.random.default_rng(0).integers(1, STEPS * 2 // 3, 2).tolist())


def start(root, name, *member, python=sys.executable):
    """Starts a stage in `root`."""
    command = [str(python), str(STAGES / f"{name}.py"), *member]
    return subprocess.Popen(command, cwd=root, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def run(python, root, name, *member):
    """Runs a stage to its end and returns its log."""
    with start(root, name, *member, python=python) as child:
        _, stderr = child.communicate(timeout=300)
    assert child.returncode == 0, stderr
    return stderr


def states(root):
    """Steps done at each state of `pretrain` in the work folder."""
    stems = [path.stem.split("-")[1:] for path in root.glob("work/pretrain/*/state-*.pt")]
    return sorted((int(epoch) - 1) * EPOCH_STEPS + int(step) for epoch, step in stems)


def kill(root, after):
    """Runs `pretrain` up to a SIGKILL soon after the state of step `after` or a later one."""
    with start(root, "pretrain", "captioned") as child:
        end = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < end:
            if states(root)[-1:] >= [after]:
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
        child.communicate()
    assert child.returncode == -signal.SIGKILL, "the stage had ended before it could be killed"


def change(root, **values):
    """Changes keys of the section `pretrain.training`."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["pretrain"]["training"].update(values)
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def outputs(root):
    paths = ("checkpoints/pretrain", "metrics/pretrain", "plots/pretrain")
    return {path: artifacts.sha256(root / path) for path in paths}


@pytest.fixture(scope="module")
def started(tmp_path_factory, warm_python):
    """A repository after `caption`, with dropout."""
    root = tmp_path_factory.mktemp("started")
    tiny_training.repository(root)
    steps = {"batch_size": 1, "epochs": EPOCHS, "checkpoint_minutes": 1e-9}
    change(root, optimization={**vars(tiny_training.OPTIMIZATION), **steps})
    run(warm_python, root, "caption")
    return root


@pytest.fixture(scope="module")
def uninterrupted(started, tmp_path_factory, warm_python):
    root = tmp_path_factory.mktemp("uninterrupted") / "root"
    shutil.copytree(started, root)
    run(warm_python, root, "pretrain", "captioned")
    return root


@pytest.fixture(scope="module")
def killed(started, tmp_path_factory):
    root = tmp_path_factory.mktemp("killed") / "root"
    shutil.copytree(started, root)
    kill(root, STOPS[0])
    return root


def test_a_stage_killed_at_random_steps_ends_with_the_bytes_of_one_left_alone(
    tmp_path, warm_python, killed, uninterrupted
):
    root = tmp_path / "root"
    shutil.copytree(killed, root)
    assert len(states(root)) <= 4  # three are kept; the kill may come before the fourth is dropped
    kill(root, STOPS[1])
    last = states(root)[-1]
    assert f"continued after step {last}" in run(warm_python, root, "pretrain", "captioned")
    assert outputs(root) == outputs(uninterrupted)
    assert not list(root.glob("work/*/*"))


def test_a_changed_parameter_never_continues_an_old_training(
    tmp_path, warm_python, killed, uninterrupted
):
    root = tmp_path / "root"
    shutil.copytree(killed, root)
    last = states(root)
    change(root, loss="listmle")
    assert "continued" not in run(warm_python, root, "pretrain", "captioned")
    assert outputs(root) != outputs(uninterrupted)
    assert states(root) == last  # the old one waits for its own parameters
