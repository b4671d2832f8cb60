"""Where a computation runs: its device, its rank among the processes, its arithmetic."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import is_dataclass, replace
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from soundjudge.errors import SoundjudgeError

TYPES = ("cpu", "cuda", "mps")  # torch knows others, some of which compute nothing


def resolve_device(name: str) -> torch.device:
    """The device of one process; auto is CUDA, else MPS, else the CPU.

    `name`: auto, cpu, cuda, cuda:1, mps. Raises SoundjudgeError for one that is not there.
    """
    if name == "auto":
        name = _automatic_type()
    try:
        device = torch.device(name)
        if device.type in TYPES:
            torch.empty(0, device=device)
            return device
        reason = None
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = error
    raise SoundjudgeError(f"device {name!r} is not there: use auto, cpu, cuda or mps") from reason


def _automatic_type() -> str:
    mps = "mps" if torch.backends.mps.is_available() else "cpu"
    return "cuda" if torch.cuda.is_available() else mps


def process_state(device: str) -> PartialState:
    """This process among those that train together (one without torchrun), with its `.device`.

    `device`: auto, cpu, cuda or mps; auto is what `resolve_device` says. Raises SoundjudgeError if
    an earlier call in this process, or accelerate's environment, has set another device.
    """
    # A tensor, as resolve_device makes one, would give each process memory of the first GPU.
    expected = _automatic_type() if device == "auto" else device
    state = PartialState(cpu=expected == "cpu")
    if expected != state.device.type:
        raise SoundjudgeError(
            f"device is {device!r}, but this process runs on {state.device.type!r}: write "
            f"{state.device.type} in params.yaml."
        )
    return state


def make_deterministic() -> None:
    """Asks torch for the same bits in every run; a stage calls it before anything else."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As use_deterministic_algorithms(True), which takes two seconds to import a compiler besides.
    torch.set_deterministic_debug_mode("error")
    # It would fill all memory that operations take before they write it: a third of all kernels.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def choose_device(device: torch.device) -> None:
    """Makes it the device of this thread, which begins on the first."""
    # One process alone has no number, and torch refuses that.
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def copy_to(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; from the CPU to a GPU without waiting for what the GPU still does."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def pin_tensors(value: Any) -> Any:  # noqa: ANN401  of any type, which stays
    """A tensor, or a dataclass of tensors, in memory that `copy_to` need not pin; others as is."""
    if isinstance(value, Tensor):
        return value.pin_memory()
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{name: pin_tensors(part) for name, part in vars(value).items()})
    return value


@contextmanager
def plain_arithmetic(bf16: torch.device | None = None) -> Iterator[None]:
    """Float32 without autocast, whatever state of torch the caller is in.

    On a device `bf16`, matrix products are in bf16 instead; front ends stay in float32.
    """
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with ExitStack() as stack:
            for kind in ("cpu", "cuda"):
                stack.enter_context(torch.autocast(kind, enabled=False))
            if bf16 is not None:
                stack.enter_context(torch.autocast(bf16.type, torch.bfloat16))
            yield
    finally:
        torch.set_default_dtype(dtype)
