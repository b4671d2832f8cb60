"""The stage `pretrain` on two processes trains as on one."""

import csv
import os
import subprocess
import sys

import pytest
import tiny_training
import torch
import yaml
from repository import STAGES

pytestmark = pytest.mark.slow
# One thread per process.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
LAUNCHERS = {
    "torchrun": ("torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    "accelerate launch": (
        "accelerate.commands.launch",
        *("--cpu", "--num_processes", "2", "--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process"),
        "1",
    ),
}
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="two processes on a CPU talk through gloo, which this torch lacks",
)


def repository(root):
    """The inputs of `pretrain`, without dropout, whose random numbers differ between processes."""
    tiny_training.repository(root)
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["caption"]["model"] |= {"projector_dropout": 0.0, "head_dropout": 0.0}
    # Four lists per epoch: a step of three, in shares of two and one, and a step of one.
    params["pretrain"]["training"]["optimization"] |= {"batch_size": 3, "epochs": 4}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    return root


def run(root, stage, *member, python=sys.executable, launcher=()):
    command = [str(python), *launcher, str(STAGES / f"{stage}.py"), *member]
    environment = ENVIRONMENT | {"PYTHON_EXEC": str(python)}  # of what torchrun starts
    subprocess.run(command, cwd=root, env=environment, check=True, timeout=600)


def history(root):
    with (root / "plots/pretrain/captioned/history.csv").open() as file:
        return [[float(value) for value in row.values()] for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def one(tmp_path_factory, warm_python):
    root = repository(tmp_path_factory.mktemp("one"))
    run(root, "caption", python=warm_python)
    run(root, "pretrain", "captioned", python=warm_python)
    return root


@needs_gloo
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_have_the_loss_curve_of_one(tmp_path, one, warm_python, launcher):
    root = repository(tmp_path)
    (root / "checkpoints").mkdir()
    (root / "checkpoints/caption").symlink_to(one / "checkpoints/caption")
    # One of the launchers starts real Pythons.
    python = warm_python if launcher == "torchrun" else sys.executable
    run(root, "pretrain", "captioned", python=python, launcher=("-m", *LAUNCHERS[launcher]))
    # Epoch, steps, learning rate, loss and validation, written with six digits.
    assert len(history(root)) == 4
    for row, expected in zip(history(root), history(one), strict=True):
        assert row == pytest.approx(expected, abs=1.1e-5)
