"""One training: its steps, its epochs and their validation, and the states that are due."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Generic

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, reduce

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.progress import ProgressReport
from soundjudge.training.loop import resume
from soundjudge.training.loop.clock import StateClock
from soundjudge.training.loop.history import HistoryRow, describe_row, write_history
from soundjudge.training.loop.objective import Indices, Loss, M
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.loop.states import States
from soundjudge.training.loop.updates import Step, Updates
from soundjudge.training.loop.weight_average import WeightAverage

# Steps of an epoch that may be skipped for gradients that are not finite: more end the training.
SKIPPED_STEPS, SKIPPED_FRACTION = 10, 0.01


class TrainingRun(Generic[M]):
    """One training: its tensors and counters, and the operations on them."""

    def __init__(
        self,
        module: M,
        loss: Loss[M],
        optimization: Optimization,
        validate: Callable[[], float] | None,
        work: Path,
        log: Callable[[str], None],
        history: Path | None,
    ) -> None:
        self.module, self.optimization, self.validate = module, optimization, validate
        self.work, self.log, self.history = work, log, history
        self.progress = resume.TrainingProgress()
        self.generator = torch.Generator().manual_seed(torch.initial_seed())
        self.updates = Updates(module, loss, optimization)
        decay = optimization.ema_decay
        self.average = None if decay is None else WeightAverage(module, decay)
        parts = (self.progress, module, self.updates.optimizer, self.generator, self.average)
        self.states, self.clock = States(work, *parts), StateClock(optimization.checkpoint_minutes)
        self.report = ProgressReport("steps", log) if PartialState().is_main_process else None

    def close(self) -> None:
        """Ends the bar of the terminal, and waits for the last state to be written."""
        if self.report is not None:
            self.report.close()
        self.states.close()

    def is_finished(self) -> bool:
        """Whether all epochs are over, or `patience` have brought no better validation."""
        patience, progress = self.optimization.patience, self.progress
        if patience is not None and progress.epoch - 1 - progress.best_epoch >= patience:
            return True
        return progress.epoch > self.optimization.epochs

    def train_epoch(self, order: Indices) -> None:
        """The steps of an epoch that remain, its end, and the states that are due."""
        progress, batch = self.progress, self.optimization.batch_size
        steps = math.ceil(len(order) / batch)
        self.optimization.check_warmup(steps)
        self.module.train()
        starts = range(progress.step * batch, len(order), batch)
        batches = (order[start : start + batch] for start in starts)
        with closing(self.updates.read_ahead(batches)) as steps_read:
            for future in steps_read:
                self.step(future.result())
                self.report_step(steps)
                if self.clock.asks():
                    self.check_skipped(steps)
                    if self.clock.step_due():
                        self.states.save()
        self.check_skipped(steps)
        self.end_epoch()
        if self.clock.epoch_due() or self.is_finished():
            self.states.save()

    def step(self, step: Step) -> None:
        """One update from the mean over the items of `step`, skipped where it is not finite."""
        progress = self.progress
        rate = self.optimization.rate(progress.epoch, progress.steps)
        total = self.updates.step(step, rate, self.generator)
        skipped = total.isnan()
        progress.loss_sum = progress.loss_sum + total.nan_to_num()
        progress.items = progress.items + ~skipped * len(step.items)
        progress.skipped = progress.skipped + skipped
        progress.step += 1
        progress.steps += 1
        if self.average is not None:
            self.average.update(progress.steps)

    def check_skipped(self, steps: int) -> None:
        """SoundjudgeError if too many of an epoch's `steps` have been skipped so far, or all."""
        progress = self.progress
        skipped, epoch = int(progress.skipped), progress.epoch
        if skipped <= max(SKIPPED_STEPS, SKIPPED_FRACTION * steps) and skipped < steps:
            return
        raise SoundjudgeError(
            f"{skipped} of {progress.step} steps of epoch {epoch} were skipped, because their loss "
            f"or gradients were not finite. The last good state stays in {self.work}, and the same "
            "command continues from it. If it stops here again, look for inputs that are not "
            "finite, or lower the learning rate: that is another training, which starts afresh."
        )

    def report_step(self, steps: int) -> None:
        """Shows the progress, now and then, in an epoch of so many steps."""
        progress, epochs = self.progress, self.optimization.epochs

        def describe() -> str:
            # The mean over this process's share, which is the first and never the smaller.
            loss = float(progress.loss_sum) / max(1, int(progress.items))
            loss *= PartialState().num_processes
            return f"epoch {progress.epoch}, loss {loss:.5g}"

        if self.report is not None:
            remaining = steps - progress.step + steps * (epochs - progress.epoch)
            self.report.update(progress.steps, progress.steps + remaining, describe)

    def end_epoch(self) -> None:
        """Ends an epoch: its row in the history, its validation, the counters of the next."""
        progress = self.progress
        total = torch.as_tensor(progress.loss_sum, device=PartialState().device)
        loss = float(reduce(total, "sum")) / int(progress.items)
        epoch, steps, skipped = progress.epoch, progress.steps, int(progress.skipped)
        if skipped:
            self.log(f"epoch {epoch}: {skipped} steps skipped, as their gradients were not finite")
        rate = self.optimization.rate(epoch, steps - 1)
        self.validate_epoch({"epoch": epoch, "steps": steps, "learning_rate": rate, "loss": loss})
        progress.epoch, progress.step = epoch + 1, 0
        progress.loss_sum, progress.items, progress.skipped = 0.0, 0, 0

    def validate_epoch(self, row: HistoryRow) -> None:
        """Validates, appends the row to the history, and keeps the weights if they are the best."""
        progress, epoch = self.progress, int(row["epoch"] or 0)
        value = None
        if self.validate is None:
            progress.best_epoch = epoch
        else:
            self.module.eval()
            with self.average_weights():
                with torch.no_grad():
                    # The first process decides for all, lest a last bit let one stop alone.
                    (value,) = broadcast_object_list([float(self.validate())])
                if not math.isfinite(value):
                    raise SoundjudgeError(
                        f"The validation is {value} in epoch {epoch}: lower the learning rate."
                    )
                if progress.best_value is None or value > progress.best_value:
                    progress.best_epoch, progress.best_value = epoch, value
                    progress.best = resume.to_cpu(resume.trainable_state(self.module))
        progress.history.append({**row, "validation": value})
        self.write_history()
        self.log(describe_row(progress.history[-1]))

    def average_weights(self) -> AbstractContextManager[None]:
        """The average of the weights in the module, where the optimization keeps one."""
        return nullcontext() if self.average is None else self.average.substitute()

    def write_history(self) -> None:
        """Writes the history so far to its file, if it has one."""
        if self.history is not None and PartialState().is_main_process:
            write_history(self.history, self.progress.history)
