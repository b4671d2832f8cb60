"""Two runs that write one output: the second is a sentence, and the first one's is whole."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_judge
import tiny_systems

from soundjudge.data.fetch import catalog
from soundjudge.data.user_files import outputs
from soundjudge.errors import SoundjudgeError
from soundjudge.page import report
from soundjudge.runtime import artifacts
from soundjudge.scoring.files import submission
from soundjudge.scoring.judge.judge_folder import JudgeFolder
from soundjudge.scoring.judge.manifest import read_manifest
from soundjudge.scoring.published import installed, tmu

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


def test_an_imported_encoder_is_not_written_where_another_run_writes_it(tmp_path) -> None:
    encoder = tmp_path / "beats.pt"
    with outputs.lock(encoder, encoder), pytest.raises(SoundjudgeError, match="another run .proc"):
        tmu.import_tmu(tmp_path / "no.pt", tmp_path / "judge", llm=tmp_path, beats_out=encoder)
    assert not any(tmp_path.iterdir())


def test_a_judge_is_installed_by_one_run_at_a_time(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = installed.judges_folder() / catalog.TMU
    folder.parent.mkdir(parents=True)
    with outputs.lock(folder, folder), pytest.raises(SoundjudgeError, match="another run .process"):
        installed.install_tmu(pytest.fail)


def test_of_runs_that_begin_at_once_one_goes_on_and_the_others_are_a_sentence(tmp_path) -> None:
    def write(out: Path, number: int, start: FORK.Barrier, ends: FORK.Queue) -> None:
        start.wait()
        time.sleep(number * 0.003)  # the last one begins as the first one ends
        try:
            with artifacts.atomic_folder(out) as folder:
                for name in "abc":
                    (folder / f"{number}{name}").write_text(name)
                time.sleep(0.004)
            ends.put("written")
        except SoundjudgeError as error:
            ends.put(str(error))
        except OSError as error:
            ends.put(repr(error))

    for attempt in range(25):
        out, start, ends = tmp_path / str(attempt), FORK.Barrier(4), FORK.Queue()
        numbers = (0, 0, 1, 2)
        runs = [FORK.Process(target=write, args=(out, n, start, ends)) for n in numbers]
        for run in runs:
            run.start()
        results = {ends.get(timeout=60) for _ in runs}
        for run in runs:
            run.join()
        refused = f"another run is writing {out}: wait for it, or choose another output"
        assert "written" in results and results <= {"written", refused}
        assert [name[1:] for name in sorted(contents(out))] == ["a", "b", "c"]
    assert len(list(tmp_path.iterdir())) == 25


def test_a_file_that_has_the_name_of_a_lock_is_not_lost(tmp_path) -> None:
    out, other = tmp_path / "o.csv", tmp_path / "other.csv"
    other.write_text("mine")
    (tmp_path / "o.csv.lock").symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"), outputs.lock(out, out):
        pytest.fail("it is locked")
    (tmp_path / "o.csv.lock").unlink()
    (tmp_path / "o.csv.lock").write_text("12 of my own lines")
    with (
        pytest.raises(
            SoundjudgeError, match=r"o\.csv\.lock is there and no lock of a run: move it"
        ),
        outputs.lock(out, out),
    ):
        pytest.fail("it is locked")
    assert contents(tmp_path) == {"other.csv": b"mine", "o.csv.lock": b"12 of my own lines"}
    (tmp_path / "o.csv.lock").write_text("4711\n")  # of a run that was killed
    with outputs.lock(out, out):
        assert (tmp_path / "o.csv.lock").read_text() == f"{os.getpid()}\n"
    assert contents(tmp_path) == {"other.csv": b"mine"}
