"""Where a training runs: its device, its place among the processes, its arithmetic."""

import os

import torch
from accelerate import PartialState


class DeviceError(ValueError):
    """A device that is asked for and not there."""


def process(device: str) -> PartialState:
    """This process among those that train together (one without torchrun), with its `.device`.

    `device`: auto, cpu, cuda or mps. The first call in a process settles it.
    """
    place = PartialState(cpu=device == "cpu")
    if device not in ("auto", place.device.type):
        raise DeviceError(
            f"device is {device!r}, but this process runs on {place.device.type!r}: write "
            f"{place.device.type} or auto."
        )
    return place


def deterministic() -> None:
    """Asks torch for the same bits in every run; a stage calls it before anything else."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As use_deterministic_algorithms(True), which takes two seconds to import a compiler besides.
    torch.set_deterministic_debug_mode("error")
