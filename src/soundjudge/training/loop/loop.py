"""The only optimizer loop: devices, precision, schedule, early stopping and exact resume.

What is trained on are *items*: the units over which the loss is a mean, one index each (a pair, a
caption) or one row of indices each (a list of 16 pairs, whose loss is defined on the whole list). A
step takes `batch_size` items, whatever the number of devices: under torchrun or accelerate launch
every process draws the same order, takes its contiguous share of each step's items, weights its
mean by the size of that share, and the gradients are averaged. So the update is that of the mean
over the step's items, as on one device, and no list is ever split. Only the random numbers of
dropout and augmentation differ between numbers of devices.
"""

import csv
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, reduce

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, devices
from soundjudge.training.loop import resume
from soundjudge.training.loop.optimization import Optimization as Optimization
from soundjudge.training.loop.updates import Indices as Indices
from soundjudge.training.loop.updates import Loss, M, Updates

Draw = Callable[[np.random.Generator], Indices]
Log = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training came to; the module holds the weights of `best_epoch`."""

    best_epoch: int  # 0 = before the first step
    best_value: float | None  # None where nothing was validated
    history: list[
        resume.HistoryRow
    ]  # an epoch a row: epoch, steps, learning_rate, loss, validation


def train_module(
    module: M,
    size: int | Draw,
    loss: Loss[M],
    *,
    optimization: Optimization,
    seed: int,
    validate: Callable[[], float] | None,
    work: Path,
    device: str,
    log: Log,
    epoch_zero: bool,
) -> TrainingResult:
    """Trains what requires gradients in `module`; continues exactly where `work` holds a state.

    `size` is the number of items, or draws an epoch's items, (N,) or (N, list), in their order.
    `loss(module, items, generator)` is the mean over the items given; the generator is for
    augmentation. `validate` runs in evaluation mode, fp32, without gradients; higher is better;
    None keeps the last epoch. `epoch_zero` makes the untrained module a candidate for the best.
    `device`: auto, cpu, cuda or mps.
    """
    if validate is None and (optimization.patience is not None or epoch_zero):
        raise SoundjudgeError("patience and epoch zero need a validation, and there is none.")
    place = devices.process_state(device)
    module.to(place.device)
    with torch.random.fork_rng(devices=[place.device] if place.device.type == "cuda" else []):
        torch.manual_seed(seed + 1_000_003 * place.process_index)
        training = _Training(module, loss, optimization, validate, work, log)
        run = training.run
        if not training.restored() and epoch_zero:
            training.judge({"epoch": 0, "steps": 0, "learning_rate": None, "loss": None})
        while run.epoch <= optimization.epochs and not training.exhausted():
            module.train()
            items = _items(size, np.random.default_rng([seed, run.epoch]))
            batch = optimization.batch_size
            for start in range(run.step * batch, len(items), batch):
                training.step(items[start : start + batch])
                if run.steps % optimization.checkpoint_steps == 0:
                    training.store()
            training.close_epoch(len(items))
            training.store()
    module.eval()
    if validate is not None:
        resume.restore(module, run.best)
    return TrainingResult(best_epoch=run.best_epoch, best_value=run.best_value, history=run.history)


def log_line(line: str) -> None:
    """A log: one line on stderr, from the first process only."""
    if PartialState().is_main_process:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def write_history(path: Path, history: list[resume.HistoryRow]) -> None:
    """Writes a training's history as CSV, six significant digits."""
    with artifacts.atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        for row in history:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def _items(size: int | Draw, rng: np.random.Generator) -> Indices:
    items = rng.permutation(size).astype(np.int64) if isinstance(size, int) else size(rng)
    if len(items) == 0:
        raise SoundjudgeError("There is nothing to train on: no item in the epoch.")
    return items


class _Training(Generic[M]):
    """The tensors and counters of one training, and what happens to them."""

    def __init__(
        self,
        module: M,
        loss: Loss[M],
        optimization: Optimization,
        validate: Callable[[], float] | None,
        work: Path,
        log: Log,
    ) -> None:
        self.module, self.optimization, self.validate = module, optimization, validate
        self.work, self.log = work, log
        self.place = PartialState()
        self.run = resume.TrainingProgress()
        self.generator = torch.Generator().manual_seed(torch.initial_seed())
        self.updates = Updates(module, loss, optimization)

    def restored(self) -> bool:
        """Takes up the last state in the work folder, if there is one."""
        parts = (self.run, self.module, self.updates.optimizer, self.generator)
        return resume.load_state(self.work, *parts, self.log)

    def store(self) -> None:
        """Writes the present state to the work folder."""
        resume.save_state(self.work, self.run, self.module, self.updates.optimizer, self.generator)

    def step(self, batch: Indices) -> None:
        """One update from the mean over the items of `batch`."""
        rate = self.optimization.rate(self.run.epoch, self.run.steps)
        total = self.updates.step(batch, rate, self.generator)
        self.run.loss_sum = self.run.loss_sum + total
        self.run.step += 1
        self.run.steps += 1

    def close_epoch(self, items: int) -> None:
        """Ends an epoch: its row in the history, its validation, the counters of the next."""
        total = torch.as_tensor(self.run.loss_sum, device=self.place.device)
        loss = float(reduce(total, "sum")) / items
        if not math.isfinite(loss):
            raise SoundjudgeError(
                f"The loss is {loss} in epoch {self.run.epoch}: lower the learning rate."
            )
        rate = self.optimization.rate(self.run.epoch, self.run.steps - 1)
        epoch, steps = self.run.epoch, self.run.steps
        self.judge({"epoch": epoch, "steps": steps, "learning_rate": rate, "loss": loss})
        self.run.epoch, self.run.step, self.run.loss_sum = self.run.epoch + 1, 0, 0.0

    def judge(self, row: resume.HistoryRow) -> None:
        """Validates, notes the row, and keeps the weights if they are the best so far."""
        run, epoch = self.run, int(row["epoch"] or 0)
        value = None
        if self.validate is None:
            run.best_epoch = epoch
        else:
            self.module.eval()
            with torch.no_grad():
                # The first process decides for all, lest a last bit let one stop alone.
                (value,) = broadcast_object_list([float(self.validate())])
            if not math.isfinite(value):
                raise SoundjudgeError(f"The validation is {value} in epoch {epoch}.")
            if run.best_value is None or value > run.best_value:
                run.best_epoch, run.best_value = epoch, value
                run.best = resume.to_cpu(resume.trainable_state(self.module))
        run.history.append({**row, "validation": value})
        self.log(", ".join(f"{name} {_shown(v)}" for name, v in run.history[-1].items()))

    def exhausted(self) -> bool:
        """Whether the last `patience` epochs have brought nothing better."""
        patience = self.optimization.patience
        return patience is not None and self.run.epoch - 1 - self.run.best_epoch >= patience


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
