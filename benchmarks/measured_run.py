"""Runs a script as `python` would and notes what it took: time, memory, the steps of a training.

    python benchmarks/measured_run.py NOTED.json SCRIPT [ARGUMENTS]

Memory is the process's own at its largest. Every step of soundjudge's optimizer loop is timed. On a
processor without bf16 arithmetic a training gets its products from bf16_products.py.
"""

import json
import runpy
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypedDict

TRAININGS = ("tune_clap", "caption", "pretrain", "finetune")


class Step(TypedDict):
    """A step of an optimizer."""

    seconds: float
    busy: float  # seconds of all threads
    loss: float


class Noted(TypedDict):
    """What a script took."""

    seconds: float
    busy: float  # seconds of all threads
    memory: int  # bytes
    gpu: int | None  # bytes, None without a GPU
    steps: list[Step]


def main() -> None:
    noted, command = Path(sys.argv[1]), sys.argv[2:]
    steps: list[Step] = []
    start, busy = time.perf_counter(), time.process_time()
    with ExitStack() as around:
        if Path(command[0]).stem in TRAININGS:
            note_steps(steps)
            widen(around)
        sys.argv, sys.path[0] = command, str(Path(command[0]).parent)
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as ended:
            if ended.code:
                raise
    record = Noted(
        seconds=time.perf_counter() - start,
        busy=time.process_time() - busy,
        memory=peak_memory(),
        gpu=peak_of_gpu(),
        steps=steps,
    )
    noted.write_text(json.dumps(record), encoding="utf-8")


def note_steps(steps: list[Step]) -> None:
    """From now on every step of the loop is added to `steps`."""
    from soundjudge.training.loop.updates import Updates

    step = Updates.step

    def noting(self: Any, read: Any, rate: Any, generator: Any) -> Any:  # noqa: ANN401  the original's
        start, busy = time.perf_counter(), time.process_time()
        total = step(self, read, rate, generator)
        loss = float(total) / len(read.items)  # waits for the GPU
        spent = (time.perf_counter() - start, time.process_time() - busy)
        steps.append(Step(seconds=spent[0], busy=spent[1], loss=loss))
        return total

    Updates.step = noting  # type: ignore[assignment, method-assign]


def widen(around: ExitStack) -> None:
    """Makes products of bf16 bearable where the processor has none."""
    import bf16_products

    if not bf16_products.is_native():
        around.enter_context(bf16_products.ProductsInFp32())


def peak_memory() -> int:
    """Bytes. ru_maxrss would count what the parent had held."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def peak_of_gpu() -> int | None:
    """Bytes that torch held of it; None without one, or where torch was not used."""
    if "torch" not in sys.modules:
        return None
    import torch

    return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else None


if __name__ == "__main__":
    main()
