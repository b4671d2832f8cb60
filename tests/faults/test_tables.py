"""Tables under faults: mutated, killed, without room on the disk; nothing wrong is ever written.

TORTURE=5000 tries so many mutated tables, and a twenty-fifth as many kills.
"""

import csv
import io
import multiprocessing
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import tiny_pairs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.outputs import locked_output
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.files import rating_files
from soundjudge.labels.ratings.config import Screening
from soundjudge.runtime.artifacts import atomic_file
from soundjudge.scoring.evaluation.systems import EvaluationConfig
from soundjudge.scoring.files import comparison, score_table, submission
from soundjudge.scoring.files.listed_pairs import list_pairs
from soundjudge.scoring.judge.pair_score import PairScore

TORTURE = int(os.environ.get("TORTURE", "60"))
KILLS = max(4, TORTURE // 25)
FORK = multiprocessing.get_context("fork")

HEADER = ["wav_file_name", "text", "score", "listener_id", "note"]
ROWS = [
    [f"{pair}.wav", f"text {pair}", str((pair * 3 + who) % 11), f"l{who}", "x"]
    for pair in range(4)
    for who in range(3)
]
CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "nan", "inf", "1e999", "1_0", "\u0667", "7.0", "-1", "11", "0x7", "L0 ", "l1 ",
         "L1", "../x", "/x", "C:x", "\u2028", "\u0085", "\r", "\n", "\0", '"', "a,b", "=1",
         "\ufeff", "9" * 400]
    ),
    st.text(max_size=6),
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A table of ratings with a few faults, from a strange cell to a cut or flipped byte."""
    rows = [list(HEADER), *(list(row) for row in ROWS)]
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.sampled_from(rows))
        row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
    if draw(st.integers(0, 5)) == 0:
        rows.insert(draw(st.integers(1, len(rows))), list(draw(st.sampled_from(rows))))
    if draw(st.integers(0, 5)) == 0:
        draw(st.sampled_from(rows)).append("more")
    buffer = io.StringIO()
    end = draw(st.sampled_from(["\n", "\r\n"]))
    csv.writer(buffer, lineterminator=end).writerows(rows)
    content = bytearray(buffer.getvalue().encode("utf-8", "surrogatepass"))
    if draw(st.integers(0, 3)) == 0:
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 3)) == 0:
        del content[draw(st.integers(0, len(content))) :]
    return bytes(content)


@settings(max_examples=TORTURE, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_a_mutated_table_is_read_to_the_letter_or_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    path, kept, targets = (folder / name for name in ("r.csv", "kept.csv", "targets.csv"))
    path.write_bytes(content)
    rules = Screening(method="rating", tolerance=10.0)
    written: list[Callable[[], object]] = [
        lambda: rating_files.screen_file(path, kept, rules),
        lambda: rating_files.standardize_file(path, targets, None, 0.0, None),
    ]
    outcomes = []
    for write, out in zip(written, (kept, targets), strict=True):
        try:
            write()
            outcomes.append(True)
        except SoundjudgeError as error:
            outcomes.append(False)
            assert "\n" not in str(error) or "\\n" in repr(content)
            assert not out.exists()
    assert path.read_bytes() == content
    left = {file.name for file in folder.iterdir()} - {"r.csv", "kept.csv", "targets.csv"}
    assert not left
    if outcomes[0]:
        # An independent reader finds the same cells in what is kept; no id counts twice.
        text = content.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        assert delimited.read_rows(kept)[0] == rows[0]
        assert all(row in rows for row in delimited.read_rows(kept)[1])
        frame = pd.DataFrame(rows[1:], columns=rows[0])
        assert frame["score"].map(lambda cell: cell.strip(" \t").isascii()).all()
        listeners = {cell.strip().casefold() for cell in frame["listener_id"]}
        assert len(listeners) == frame["listener_id"].nunique()


class SlowJudge(tiny_pairs.LengthJudge):
    """A judge whose score is a sound's length in units of 0.1 s."""

    def score_sounds(self, *arguments: object) -> list[PairScore]:
        time.sleep(0.002)
        return super().score_sounds(*arguments)


def score(table: Path, sounds: Path, out: Path, *, resume: bool, batch_size: int = 1) -> object:
    return score_table.score_table(
        SlowJudge, list_pairs(table, sounds), out, inputs=[table], on_error="nan", resume=resume,
        batch_size=batch_size, progress=lambda done, total: None,
    )  # fmt: skip


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tiny_pairs.write_sounds(tmp_path / "sounds")
    (folder / "c.wav").write_bytes(b"no sound")
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    rows = [[tiny_pairs.NAMES[n % 5], f'a "{n}"\u2028,\nline\r'] for n in range(40)]
    with path.open("w", newline="", encoding="utf-8") as file:
        delimited.write_rows(file, [["wav_file_name", "text"], *rows])
    return path


def test_runs_killed_at_random_moments_end_with_the_same_bytes(table, sounds, tmp_path):
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    score(table, sounds, whole, resume=False)
    report = whole.with_name("whole.csv.errors.csv").read_bytes()
    moments = random.Random(0)
    for _ in range(KILLS):
        process = FORK.Process(
            target=score, args=(table, sounds, out), kwargs={"resume": True, "batch_size": 3}
        )
        process.start()
        time.sleep(moments.uniform(0.0, 0.1))
        process.kill()
        process.join()
    score(table, sounds, out, resume=True, batch_size=7)
    assert out.read_bytes() == whole.read_bytes()
    assert out.with_name("out.csv.errors.csv").read_bytes() == report
    assert sorted(path.name for path in tmp_path.glob("*out.csv*") if "part" not in path.name) == [
        "out.csv",
        "out.csv.errors.csv",
    ]


def test_of_many_runs_at_once_one_writes_and_the_others_say_so(table, sounds, tmp_path):
    out, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    results = FORK.SimpleQueue()

    def attempt() -> None:
        try:
            score(table, sounds, out, resume=True)
            results.put("done")
        except SoundjudgeError as error:
            results.put(str(error))

    processes = [FORK.Process(target=attempt) for _ in range(6)]
    for process in processes:
        process.start()
    words = [results.get() for _ in processes]
    for process in processes:
        process.join()
    score(table, sounds, whole, resume=False)
    assert out.read_bytes() == whole.read_bytes()
    refused = [word for word in words if word != "done"]
    assert len(refused) < len(words)
    assert all("is writing" in word for word in refused)


def without_room(size: int, run: Callable[[], object]) -> str:
    """The error of a run in which no file can grow beyond `size` bytes, as on a full disk."""
    results = FORK.SimpleQueue()

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            run()
            results.put("done")
        except (OSError, SoundjudgeError) as error:
            results.put(f"{type(error).__name__}: {error}")

    process = FORK.Process(target=limited)
    process.start()
    process.join()
    return str(results.get())


@pytest.mark.parametrize("size", [10, 300, 900])
def test_a_full_disk_costs_nothing_that_was_written(table, sounds, tmp_path, size):
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    score(table, sounds, whole, resume=False)
    words = without_room(size, lambda: score(table, sounds, out, resume=False, batch_size=4))
    assert words.startswith("OSError: "), words
    score(table, sounds, out, resume=True)
    assert out.read_bytes() == whole.read_bytes()


def test_a_full_disk_leaves_the_older_output_of_every_command(tmp_path):
    ratings = tmp_path / "ratings.csv"
    with ratings.open("w", newline="", encoding="utf-8") as file:
        delimited.write_rows(file, [HEADER, *ROWS])
    rows = "".join(f"{pair}.wav,{pair}\n" for pair in range(4))
    guess, average = tmp_path / "guess.csv", tmp_path / "average.csv"
    guess.write_text("wav_file_name,pred_score\n" + rows)
    average.write_text("wav_file_name,average_score\n" + rows)
    rules = Screening(method="rating", tolerance=10.0)
    outs = [tmp_path / name for name in ("k.csv", "t.csv", "s.csv", "n.json")]
    runs: list[Callable[[Path], object]] = [
        lambda out: rating_files.screen_file(ratings, out, rules, overwrite=True),
        lambda out: rating_files.standardize_file(ratings, out, None, 0.0, None, overwrite=True),
        lambda out: submission.write_system(guess, average, out, overwrite=True),
        lambda out: comparison.evaluate_files(
            guess, average, None, EvaluationConfig(resamples=100, seed=0), out=out, overwrite=True
        ),
    ]
    for out, run in zip(outs, runs, strict=True):
        out.write_text("older\n")
        assert without_room(20, lambda run=run, out=out: run(out)).startswith("OSError"), out
        assert out.read_text() == "older\n"
        assert not list(tmp_path.glob(".part-*"))


def test_the_output_of_a_killed_command_is_the_older_one(tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("older\n")

    def write() -> None:
        with (
            locked_output(out, [], (".csv",), overwrite=True) as target,
            atomic_file(target) as temporary,
        ):
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=write)
    process.start()
    process.join()
    assert out.read_text() == "older\n"
    with (
        locked_output(out, [], (".csv",), overwrite=True) as target,
        atomic_file(target) as temporary,
    ):
        temporary.write_text("new\n")
    assert out.read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
