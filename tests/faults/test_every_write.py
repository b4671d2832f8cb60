"""Commands and the packaging of a judge, killed or out of room at each write in turn.

Whatever the write, a file is the older one, the whole new one or none; the next run writes the same
bytes as one that nothing befell, and leaves nothing else. TORTURE tries every write, else a few.
"""

import errno
import multiprocessing
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_judge
import torch
from matplotlib.figure import Figure

from soundjudge.errors import SoundjudgeError
from soundjudge.labels.files import rating_files, screening_report, study_files
from soundjudge.labels.ratings.config import LatentConfig, Screening
from soundjudge.labels.study.held_out import StudyConfig
from soundjudge.runtime import artifacts
from soundjudge.scoring.evaluation import systems
from soundjudge.scoring.evaluation.systems import EvaluationConfig
from soundjudge.scoring.files import comparison, submission
from soundjudge.scoring.judge import package

FORK = multiprocessing.get_context("fork")
EVERY = "TORTURE" in os.environ
FEW = 2  # writes of a case that are tried in a usual run, besides the last
GROWTH = ("os.rename", "os.mkdir", "os.link")  # what needs room, as opening a file to write does
CHANGES = (*GROWTH, "os.remove", "os.rmdir", "os.truncate")
RULES = Screening(method="rating", tolerance=10.0)
Run = Callable[[Path], object]  # writes into the folder


class Fault:
    """An audit hook: at the `number`-th change of a folder the process is killed, or has no room.

    With 0 it counts them alone.
    """

    def __init__(self, number: int, folder: Path, kind: str) -> None:
        self.number, self.folder, self.kind = number, str(folder), kind
        self.count = 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_change(event, arguments) or isinstance(arguments[0], int):
            return
        if not os.path.abspath(str(arguments[0])).startswith(self.folder):  # noqa: PTH100  here
            return
        self.count += 1
        if self.count == self.number:
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))

    def _is_change(self, event: str, arguments: tuple[object, ...]) -> bool:
        if event == "open":
            return bool(int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return event in (CHANGES if self.kind == "kill" else GROWTH)


def run_with_fault(run: Run, folder: Path, number: int, kind: str) -> str:
    """What became of the run: its number of changes, "killed" or its error."""
    results = FORK.SimpleQueue()

    def attempt() -> None:
        torch.set_num_threads(1)
        fault = Fault(number, folder, kind)
        sys.addaudithook(fault)
        try:
            run(folder)
        except (OSError, SoundjudgeError) as error:
            results.put(f"{type(error).__name__}: {error}")
        else:
            results.put(f"{fault.count} changes")

    process = FORK.Process(target=attempt)
    process.start()
    process.join()
    return "killed" if process.exitcode == -signal.SIGKILL else str(results.get())


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def is_visible(name: str) -> bool:
    """Not what a killed run leaves for the next one: hidden siblings, a lock, a stage's work."""
    parts = name.split("/")
    hidden = any(part.startswith(".") for part in parts) or parts[0] == "work"
    return not hidden and not name.endswith(".lock")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings of 24 pairs by 8 listeners, their averages, and two systems' predictions."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    quality = rng.uniform(1, 9, 24)
    rows = [
        (f"{pair}.wav", f"text {pair}", f"l{who}", float(np.clip(round(q + rng.normal()), 0, 10)))
        for pair, q in enumerate(quality)
        for who in range(8)
    ]
    frame = pd.DataFrame(rows, columns=["wav_file_name", "text", "listener_id", "score"])
    frame.to_csv(folder / "ratings.csv", index=False)
    means = frame.groupby(["wav_file_name", "text"], sort=False)["score"].mean().reset_index()
    means.rename(columns={"score": "average_score"}).to_csv(folder / "average.csv", index=False)
    for name in ("one", "two"):
        guess = np.clip(means["score"] + rng.normal(size=24), 0, 10).round(3)
        predictions = means[["wav_file_name", "text"]].assign(pred_score=guess)
        predictions.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    tiny_judge.write_checkpoints(root)
    return root


def screen(tables: Path, out: Path) -> None:
    path, kept = tables / "ratings.csv", out / "kept.csv"
    rating_files.screen_file(path, kept, RULES, overwrite=True)
    screening_report.write_report(path, out / "report", RULES, None)


def standardize(tables: Path, out: Path) -> None:
    path, targets = tables / "ratings.csv", out / "targets.csv"
    rating_files.standardize_file(path, targets, None, 0.0, LatentConfig(), overwrite=True)


def study(tables: Path, out: Path) -> None:
    config = StudyConfig(splits=2, held_out=1 / 3, resamples=50, seed=0)
    study_files.study_file(
        tables / "ratings.csv", config, out=out / "n.json", plots=out / "plots", overwrite=True
    )


def evaluate(tables: Path, out: Path) -> None:
    comparison.evaluate_files(
        tables / "one.csv", tables / "average.csv", tables / "ratings.csv",
        EvaluationConfig(resamples=100, seed=0),
        out=out / "n.json", page=out / "n.html", overwrite=True,
    )  # fmt: skip


def submit(tables: Path, out: Path) -> None:
    listed, systems = tables / "average.csv", [tables / "one.csv", tables / "two.csv"]
    submission.write_system(systems[0], listed, out / "submission.csv", overwrite=True)
    submission.write_submission(systems, listed, out / "submission.zip", overwrite=True)


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in place of pictures, and few resamples, each of which takes seconds."""

    def save(figure: Figure, path: Path, **_: object) -> None:
        path.write_bytes(b"a picture" * 1000)

    monkeypatch.setattr(Figure, "savefig", save)
    monkeypatch.setattr(screening_report, "RESAMPLES", 5)
    monkeypatch.setattr(systems, "CEILING_RESAMPLES", 5)


@pytest.mark.parametrize("kind", ["kill", "full disk"])
@pytest.mark.parametrize(
    "command",
    [
        submit,
        standardize,
        evaluate,
        screen,
        study,
    ],
)
def test_a_command_leaves_whole_files_at_every_write(tables, tmp_path, command, kind):
    check_every_write(lambda out: command(tables, out), tmp_path, kind)


@pytest.mark.parametrize("kind", ["kill", "full disk"])
def test_a_judge_is_the_older_one_the_new_one_or_none_at_every_write(checkpoints, tmp_path, kind):
    ensemble = tiny_judge.ensemble(checkpoints)

    def run(out: Path) -> None:
        with artifacts.atomic_folder(out / "judge") as folder:
            package.build_judge(
                folder, ensemble=ensemble, root=checkpoints, packaging=tiny_judge.PACKAGING,
                checkpoints={n: checkpoints / path for n, path in tiny_judge.CHECKPOINTS.items()},
                window_seconds=tiny_judge.SECONDS, report="# Agreement\n",
            )  # fmt: skip

    check_every_write(run, tmp_path, kind, is_one_folder=True)


def check_every_write(
    run: Run,
    tmp_path: Path,
    kind: str,
    *,
    is_one_folder: bool = False,
    is_new: bool = False,
    keeps_hidden: bool = False,
) -> None:
    """`is_new`: only where nothing is yet, as of a command that replaces nothing.

    `keeps_hidden`: what is hidden may stay, such as a download to go on with.
    """
    whole_folder = tmp_path / "whole"
    whole_folder.mkdir()
    run(whole_folder)
    whole = contents(whole_folder)
    older = dict.fromkeys(whole, b"older")
    count = int(run_with_fault(run, fresh(tmp_path, {}), 0, kind).removesuffix(" changes"))
    assert count > 2
    numbers = range(1, count + 1)
    chosen = numbers if EVERY else random.Random(0).sample(numbers, min(FEW, count))
    for number in sorted({*chosen, count}):
        before = older if not is_new and (EVERY or number % 2) else {}
        out = fresh(tmp_path, before)
        words = run_with_fault(run, out, number, kind)
        left = contents(out)
        assert "changes" not in words or left == whole, (number, words)
        visible = {name: content for name, content in left.items() if is_visible(name)}
        for name, content in visible.items():
            assert content in (whole[name], before.get(name)), (number, name)
        if is_one_folder:
            assert visible in (whole, before, {}), number
        if kind == "full disk":
            assert "No space left" in words or "changes" in words, words
            assert left == visible or keeps_hidden, number
        run(out)
        left = contents(out)
        if keeps_hidden:
            left = {name: content for name, content in left.items() if is_visible(name)}
        assert left == whole, number


def fresh(tmp_path: Path, before: dict[str, bytes]) -> Path:
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for name, content in before.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    return out
