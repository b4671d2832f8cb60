"""Resume states of a training: exact, finite, written by a thread from a copy.

A state is one file of tensors and plain values only, so it is read with `weights_only=True`:
`state-<epoch>-<step>.pt`, named by the step that comes next, so that step 0 follows the end of an
epoch. `best-<epoch>-<step>.pt` beside it holds the best weights up to then; states between which
these have not changed share one file on disk. The last two states are kept, and the last that
follows the end of an epoch. There is no loss scaler: bf16 has the range of fp32. The work folder's
name is a fingerprint of parameters, inputs and code, so no other training reads it.
"""

import pickle
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError, is_disk_full
from soundjudge.runtime import artifacts
from soundjudge.training.loop.resume import TrainingProgress, restore, to_cpu, trainable_state
from soundjudge.training.loop.weight_average import WeightAverage

KEPT_STATES = 2


def device_random_state(device: torch.device) -> Tensor | None:
    """The state of the device's own random numbers; None for the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def set_device_random_state(device: torch.device, state: Tensor) -> None:
    """What `device_random_state` has returned for this device."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.mps.set_rng_state(state)


class States:
    """The states of one training in its work folder; every process must make the same calls."""

    def __init__(
        self,
        work: Path,
        progress: TrainingProgress,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        average: WeightAverage | None,
    ) -> None:
        self.work, self.progress, self.module = work, progress, module
        self.optimizer, self.generator, self.average = optimizer, generator, average
        self.thread, self.written = ThreadPoolExecutor(1), Future[None]()
        self.written.set_result(None)
        self.best: tuple[int, Path] | None = None  # the epoch and the file of the last best weights

    def save(self) -> None:
        """Begins to write the present state, once the one before is written.

        Raises SoundjudgeError for one that is not finite, and whatever the write before met.
        """
        state, progress = PartialState(), self.progress
        local = {
            "torch": torch.get_rng_state(),
            "device": device_random_state(state.device),
            "generator": self.generator.get_state(),
            "loss_sum": float(progress.loss_sum),
        }
        processes = gather_object([local])
        tensors = trainable_state(self.module)
        moments = [moment for values in self.optimizer.state.values() for moment in values.values()]
        (finite,) = broadcast_object_list([_are_finite([*tensors.values(), *moments])])
        if not finite:
            raise SoundjudgeError(
                f"The weights are not finite after step {progress.steps}. The last good state is "
                f"in {self.work}: lower the learning rate, which trains afresh."
            )
        if not state.is_main_process:
            return
        self.written.result()
        counters = {f.name: getattr(progress, f.name) for f in fields(progress)}
        counters |= {"items": int(progress.items), "skipped": int(progress.skipped)}
        counters["history"] = list(progress.history)
        best = counters.pop("best")
        optimizer = self.optimizer.state_dict()
        optimizer["state"] = {key: to_cpu(value) for key, value in optimizer["state"].items()}
        content = {
            "progress": {k: v for k, v in counters.items() if k != "loss_sum"},
            "module": to_cpu(tensors),
            "optimizer": optimizer,
            "average": {} if self.average is None else to_cpu(self.average.average),
            "processes": processes,
        }
        self.written = self.thread.submit(self._write, content, best)

    def close(self) -> None:
        """Waits until the last state is written; raises what its write met."""
        self.thread.shutdown()
        self.written.result()

    def load(self, log: Callable[[str], None]) -> bool:
        """Restores the newest readable state; False if there is none."""
        newest = self._newest(log)
        if newest is None:
            return False
        path, content, best = newest
        state, progress = PartialState(), self.progress
        if len(content["processes"]) != state.num_processes:
            raise SoundjudgeError(
                f"{self.work} holds a training on {len(content['processes'])} processes, this one "
                f"has {state.num_processes}: start as many, or delete the folder to train afresh."
            )
        local = content["processes"][state.process_index]
        for name, value in content["progress"].items():
            setattr(progress, name, value)
        progress.loss_sum, progress.best = local["loss_sum"], best
        self.best = (progress.best_epoch, _best_file(path)) if best else None
        restore(self.module, content["module"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.average is not None:
            self.average.load(content["average"])
        self.generator.set_state(local["generator"])
        torch.set_rng_state(local["torch"])
        if local["device"] is not None:
            set_device_random_state(state.device, local["device"])
        log(f"continued after step {progress.steps}, in epoch {progress.epoch}")
        return True

    def _newest(
        self, log: Callable[[str], None]
    ) -> tuple[Path, dict[str, Any], dict[str, Tensor]] | None:
        for path in reversed(_state_files(self.work)):
            try:
                content: dict[str, Any] = _read(path)
                best = {} if content["progress"]["best_value"] is None else _read(_best_file(path))
            except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
                # A crashed disk may damage the newest file: those before it are kept for that.
                log(f"{path} is damaged and skipped ({type(error).__name__})")
                continue
            return path, content, best
        return None

    def _write(self, content: dict[str, Any], best: dict[str, Tensor]) -> None:
        """Best weights, then the state, which counts from then on; then deletes old states."""
        counters = content["progress"]
        path = self.work / f"state-{counters['epoch']:05d}-{counters['step']:09d}.pt"
        if best:
            epoch, file = counters["best_epoch"], _best_file(path)
            with artifacts.atomic_file(file) as temporary:
                if self.best is not None and self.best[0] == epoch:
                    artifacts.link_or_copy(self.best[1], temporary)
                else:
                    _save(best, temporary)
            self.best = epoch, file
        with artifacts.atomic_file(path) as temporary:
            _save(content, temporary)
        files = _state_files(self.work)
        states = files[
            : files.index(path) + 1
        ]  # later ones were damaged: training went on before them
        epoch_ends = [state for state in states if int(state.stem[-9:]) == 0]
        for old in set(files) - {*states[-KEPT_STATES:], *epoch_ends[-1:]}:
            old.unlink()
            _best_file(old).unlink(missing_ok=True)


def _are_finite(tensors: Iterable[Tensor]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _save(content: dict[str, Any], path: Path) -> None:
    """Raises SoundjudgeError where the disk is full, which torch hides behind its own error."""
    try:
        with path.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        if not is_disk_full(error) and not is_disk_full(error.__context__ or error):
            raise
        raise SoundjudgeError(
            f"The disk of {path.parent} is full. Make room and start again: the training goes on "
            "from its last state."
        ) from error


def _read(path: Path) -> Any:  # noqa: ANN401  of tensors and plain values
    return torch.load(path, map_location="cpu", weights_only=True)


def _state_files(work: Path) -> list[Path]:
    return sorted(work.glob("state-*.pt"))


def _best_file(state: Path) -> Path:
    return state.with_name(state.name.replace("state", "best", 1))
