"""Two runs that write one output: the second is a sentence, and the first one's is whole."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_judge
import tiny_systems

from soundjudge.data.user_files import outputs
from soundjudge.errors import SoundjudgeError
from soundjudge.page import report
from soundjudge.runtime import artifacts
from soundjudge.scoring.files import submission
from soundjudge.scoring.judge.judge_folder import JudgeFolder
from soundjudge.scoring.judge.manifest import read_manifest

FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> JudgeFolder:
    root = tmp_path_factory.mktemp("repository")
    folder = tiny_judge.build(root / "judge", root)
    return JudgeFolder(read_manifest(folder), folder)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def begin(out: Path, end: Callable[[], object]) -> FORK.Process:
    """A process that is in the middle of writing the folder `out`, until `end` returns."""
    is_there = FORK.Event()

    def write() -> None:
        with artifacts.atomic_folder(out) as folder:
            (folder / "half").write_text("half")
            is_there.set()
            end()

    process = FORK.Process(target=write)
    process.start()
    assert is_there.wait(60)
    return process


def test_a_judge_is_not_saved_where_another_run_writes_one(judge, tmp_path) -> None:
    ended = FORK.Event()
    first = begin(tmp_path / "saved", ended.wait)
    for _ in range(2):
        with pytest.raises(SoundjudgeError, match=r"another run is writing .*saved: wait for it"):
            judge.save_pretrained(tmp_path / "saved")
    ended.set()
    first.join()
    assert contents(tmp_path) == {"saved/half": b"half"}


def test_what_a_killed_run_left_keeps_nobody_from_writing(judge, tmp_path) -> None:
    first = begin(tmp_path / "saved", signal.pause)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    judge.save_pretrained(tmp_path / "saved")
    assert {path.name for path in tmp_path.iterdir()} == {"saved"}
    assert contents(tmp_path / "saved") == contents(judge.folder)


def test_an_error_in_the_middle_lets_the_next_run_write(judge, tmp_path) -> None:
    with pytest.raises(ZeroDivisionError), artifacts.atomic_folder(tmp_path / "saved"):
        raise ZeroDivisionError
    judge.save_pretrained(tmp_path / "saved")
    assert contents(tmp_path / "saved") == contents(judge.folder)


def test_a_submission_and_a_page_are_not_written_where_another_run_writes_them(tmp_path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text("wav_file_name\na.wav\nb.wav\n")
    scores = tmp_path / "scores.csv"
    scores.write_text("wav_file_name,pred_score\na.wav,4.5\nb.wav,6\n")
    archive, page = tmp_path / "archive.zip", tmp_path / "page.html"
    with (
        outputs.lock(archive, archive),
        pytest.raises(SoundjudgeError, match="another run .process"),
    ):
        submission.write_submission([scores], listed, archive, overwrite=True)
    systems, prompts = [scores], tiny_systems.write_prompts(tmp_path)
    with outputs.lock(page, page), pytest.raises(SoundjudgeError, match="another run .process"):
        report.write_report(
            systems, prompts, page, overwrite=True,
            load_judge=pytest.fail, load_clap=None, progress=lambda done, total: None,
        )  # fmt: skip
    assert not archive.exists() and not page.exists()
