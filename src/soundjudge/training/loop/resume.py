"""The state of a training on disk: written whole, read back exactly, the last two kept.

A state is one file `state-<steps>.pt` of tensors and plain values only, so it is read with
`weights_only=True`. Nothing scales the loss: bf16 has the range of fp32. The state lies in a work
folder whose name is a fingerprint of parameters, inputs and code, so it is never met by another
training than its own.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

KEPT_STATES = 2

HistoryRow = dict[str, float | int | None]


@dataclass(kw_only=True)
class TrainingProgress:
    """What changes during a training beside the tensors of module and optimizer."""

    epoch: int = 1  # the epoch in training
    step: int = 0  # steps done in it
    steps: int = 0  # steps done altogether
    best_epoch: int = 0
    best_value: float | None = None
    history: list[HistoryRow] = field(default_factory=list)
    best: dict[str, Tensor] = field(
        default_factory=dict
    )  # moving tensors at best_epoch, on the CPU
    loss_sum: float | Tensor = 0.0  # over this process's share of the epoch's items so far


def trainable_state(module: nn.Module) -> dict[str, Tensor]:
    """The tensors that training may move, live: trainable parameters and stored buffers."""
    trainable = {name: p.data for name, p in module.named_parameters() if p.requires_grad}
    # All stored buffers, because nothing marks a batch-norm statistic as moving; they are small.
    stored = module.state_dict().keys()
    return trainable | {name: b for name, b in module.named_buffers() if name in stored}


def to_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy on the CPU that later steps do not touch."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def restore(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Writes `tensors` into the module in place; their names must be those of `moving`."""
    live = trainable_state(module)
    if live.keys() != tensors.keys():
        names = sorted(live.keys() ^ tensors.keys())
        raise SoundjudgeError(
            f"The stored state and the model differ in {len(names)} tensors: {names}"
        )
    for name, tensor in live.items():
        tensor.copy_(tensors[name])


def save_state(
    work: Path,
    run: TrainingProgress,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    """Writes a state atomically, then drops all but the last `KEPT`. Every process must call it."""
    place = PartialState()
    own = {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(place.device) if place.device.type == "cuda" else None,
        "generator": generator.get_state(),
        "loss_sum": float(run.loss_sum),
    }
    processes = gather_object([own])
    if place.is_main_process:
        state = {
            "run": {
                f.name: getattr(run, f.name)
                for f in fields(TrainingProgress)
                if f.name != "loss_sum"
            },
            "module": trainable_state(module),
            "optimizer": optimizer.state_dict(),
            "processes": processes,
        }
        with artifacts.atomic_file(work / f"state-{run.steps:09d}.pt") as temporary:
            torch.save(state, temporary)
        for old in _states(work)[:-KEPT_STATES]:
            old.unlink()
    place.wait_for_everyone()


def load_state(
    work: Path,
    run: TrainingProgress,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    log: Callable[[str], None],
) -> bool:
    """Puts the newest readable state in `work` into all arguments; False where there is none."""
    state = _newest(work, log)
    if state is None:
        return False
    place = PartialState()
    if len(state["processes"]) != place.num_processes:
        raise SoundjudgeError(
            f"{work} holds a training on {len(state['processes'])} processes, this one has "
            f"{place.num_processes}: start as many, or delete the folder to train afresh."
        )
    own = state["processes"][place.process_index]
    for name, value in state["run"].items():
        setattr(run, name, value)
    run.loss_sum = own["loss_sum"]
    restore(module, state["module"])
    optimizer.load_state_dict(state["optimizer"])
    generator.set_state(own["generator"])
    torch.set_rng_state(own["torch"])
    if own["cuda"] is not None:
        torch.cuda.set_rng_state(own["cuda"], place.device)
    log(f"continued after step {run.steps}, in epoch {run.epoch}")
    return True


def _newest(work: Path, log: Callable[[str], None]) -> dict[str, Any] | None:
    for path in reversed(_states(work)):
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            # The state before it is kept for a file that a crashed disk left damaged.
            log(f"{path} is damaged and passed over ({type(error).__name__})")
            continue
        return state
    return None


def _states(work: Path) -> list[Path]:
    return sorted(work.glob("state-*.pt"))
