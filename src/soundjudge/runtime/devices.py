"""Where a computation runs: its device, its place among the processes, its arithmetic."""

import os

import torch
from accelerate import PartialState

from soundjudge.errors import SoundjudgeError


def resolve_device(name: str) -> torch.device:
    """The device of one process; auto is CUDA, else MPS, else the CPU, as accelerate chooses.

    `name`: auto, cpu, cuda, cuda:1, mps. SoundjudgeError for one that is not there.
    """
    if name == "auto":
        name = next(
            kind
            for kind, there in (
                ("cuda", torch.cuda.is_available()),
                ("mps", torch.backends.mps.is_available()),
                ("cpu", True),
            )
            if there
        )
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SoundjudgeError(
            f"device {name!r} is not there: use auto, cpu, cuda or mps"
        ) from error
    return device


def process_state(device: str) -> PartialState:
    """This process among those that train together (one without torchrun), with its `.device`.

    `device`: auto, cpu, cuda or mps. The first call in a process settles it.
    """
    place = PartialState(cpu=device == "cpu")
    if device not in ("auto", place.device.type):
        raise SoundjudgeError(
            f"device is {device!r}, but this process runs on {place.device.type!r}: write "
            f"{place.device.type} or auto."
        )
    return place


def make_deterministic() -> None:
    """Asks torch for the same bits in every run; a stage calls it before anything else."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As use_deterministic_algorithms(True), which takes two seconds to import a compiler besides.
    torch.set_deterministic_debug_mode("error")
