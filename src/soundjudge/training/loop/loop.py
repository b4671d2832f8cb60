"""The only optimizer loop: items, devices, schedule, early stopping and exact resume.

The *items* of a training are the units over which the loss is a mean: one index each (a pair, a
caption) or one row of indices each (a list of 16 pairs, whose loss is defined on the whole list). A
step takes `batch_size` items, whatever the number of devices: under torchrun or accelerate launch
every process samples the same order, takes its contiguous share of each step's items, weights its
mean by the size of that share, and the gradients are averaged. Where lists do not go evenly, their
pairs are shared out (division.py): each process scores some of them, and the loss is that of the
whole lists. So the update is that of the mean over the step's items, as on one device. Only the
random numbers of dropout and augmentation differ between numbers of devices.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import torch
from accelerate import PartialState

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import devices
from soundjudge.runtime.progress import log_line as write_line
from soundjudge.training.loop import resume
from soundjudge.training.loop.history import HistoryRow
from soundjudge.training.loop.objective import Indices, Loss, M
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.loop.run import TrainingRun

ItemSampler = Callable[[np.random.Generator], Indices]
Log = Callable[[str], None]


class RunOptions(TypedDict):
    """What every training passes on to `train_module`."""

    work: Path
    device: str
    log: NotRequired[Log]
    history: NotRequired[Path | None]


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training came to; the module holds the weights of `best_epoch`."""

    best_epoch: int  # 0 = before the first step
    best_value: float | None  # None without validation
    history: list[HistoryRow]  # one row per epoch


def log_line(line: str) -> None:
    """A log: one line on stderr, from the first process only."""
    if PartialState().is_main_process:
        write_line(line)


def train_module(
    module: M,
    items: int | ItemSampler,
    loss: Loss[M],
    *,
    optimization: Optimization,
    seed: int,
    validate: Callable[[], float] | None,
    epoch_zero: bool,
    work: Path,
    device: str,
    log: Log = log_line,
    history: Path | None = None,
) -> TrainingResult:
    """Trains what requires gradients in `module`; continues exactly where `work` holds a state.

    `items` is their number, or samples those of an epoch, (N,) or (N, list size), in order. `loss`
    is that of items or of whole lists. `validate` runs in evaluation mode, fp32, without gradients;
    higher is better; None keeps the last epoch. `epoch_zero` makes the untrained module a candidate
    for the best. `device`: auto, cpu, cuda or mps. `history` is a CSV that grows by a row with
    every epoch.
    Raises SoundjudgeError where more than a few steps have no finite gradient.
    """
    if validate is None and (optimization.patience is not None or epoch_zero):
        raise SoundjudgeError("patience and epoch zero need a validation, and there is none.")
    state = devices.process_state(device)
    module.to(state.device)
    with torch.random.fork_rng(devices=[state.device] if state.device.type == "cuda" else []):
        torch.manual_seed(seed + 1_000_003 * state.process_index)
        with closing(TrainingRun(module, loss, optimization, validate, work, log, history)) as run:
            if not run.states.load(log) and epoch_zero:
                run.validate_epoch({"epoch": 0, "steps": 0, "learning_rate": None, "loss": None})
            while not run.is_finished():
                rng = np.random.default_rng([seed, run.progress.epoch])
                run.train_epoch(_epoch_items(items, rng))
            run.write_history()
    state.wait_for_everyone()
    module.eval()
    progress = run.progress
    if validate is not None:
        resume.restore(module, progress.best)
    elif run.average is not None:
        run.average.apply()
    return TrainingResult(
        best_epoch=progress.best_epoch, best_value=progress.best_value, history=progress.history
    )


def _epoch_items(items: int | ItemSampler, rng: np.random.Generator) -> Indices:
    order = rng.permutation(items).astype(np.int64) if isinstance(items, int) else items(rng)
    if len(order) == 0:
        raise SoundjudgeError("There is nothing to train on: no item in the epoch.")
    return order
