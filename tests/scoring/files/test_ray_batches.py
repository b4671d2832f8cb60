"""Tables scored by a cluster's actors: the bytes of one process, whatever is completed first."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import tiny_pairs
from tiny_pairs import LengthJudge, spoil
from typer.testing import CliRunner, Result

from soundjudge.cli import app
from soundjudge.data.jobs import ray_cluster
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files import batch_scores
from soundjudge.scoring.files.batch_scores import RayBatches, Task
from soundjudge.scoring.files.listed_pairs import list_pairs
from soundjudge.scoring.files.pair_reports import Details
from soundjudge.scoring.files.score_table import score_table

ALL = Details(members=True, spread=True, interval=True, windows=True, flags=True)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return tiny_pairs.write_sounds(tmp_path / "sounds")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tiny_pairs.write_table(tmp_path / "table.csv")


@pytest.fixture
def last_first(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """In place of a cluster: tasks in this process, the last one first; the list of them."""
    ran: list[Task] = []

    def run_tasks(
        tasks: Sequence[Task], factory: Callable, device: str, workers: int | None
    ) -> Iterator[tuple[Task, str]]:
        run = factory("cpu")
        for task in reversed(tasks):
            run(task)
            ran.append(task)
            yield task, "node"

    monkeypatch.setattr(ray_cluster, "run_tasks", run_tasks)
    monkeypatch.setattr(batch_scores, "BATCHES", 1)
    return ran


def score(
    table: Path, sounds: Path, out: Path, engine: RayBatches | None = None, **changed: object
) -> object:
    options = {"on_error": "fail", "resume": False, "batch_size": 2}
    options |= {} if engine is None else {"engine": engine}
    return score_table(
        LengthJudge, list_pairs(table, sounds), out, inputs=[table], details=ALL,
        progress=lambda done, total: None, **(options | changed),
    )  # fmt: skip


def engine(folder: Path, judge: LengthJudge | None = None) -> RayBatches:
    loaded = judge or LengthJudge()
    return RayBatches(load=lambda device: loaded, device="cpu", workers=None, folder=folder)


@pytest.mark.parametrize("on_error", ["skip", "nan"])
def test_a_cluster_writes_what_one_process_writes(table, sounds, tmp_path, last_first, on_error):
    spoil(sounds)
    one, other, parts = tmp_path / "one.csv", tmp_path / "other.csv", tmp_path / "parts"
    expected = score(table, sounds, one, on_error=on_error)
    assert score(table, sounds, other, engine(parts), on_error=on_error) == expected
    assert other.read_bytes() == one.read_bytes()
    errors = [path.with_name(path.name + ".errors.csv").read_bytes() for path in (one, other)]
    assert errors[0] == errors[1]
    assert [list(rows) for rows, _ in last_first] == [[4], [2, 3], [0, 1]]
    assert not parts.exists()


def test_a_sound_that_stops_a_run_stops_it_behind_the_same_row(table, sounds, tmp_path, last_first):
    (sounds / "c.wav").write_bytes(b"no sound")
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    for out, options in ((one, {}), (other, {"engine": engine(tmp_path / "parts")})):
        with pytest.raises(SoundjudgeError, match="row 3: .*continue with --resume"):
            score(table, sounds, out, **options)
    assert other.read_bytes() == one.read_bytes()
    tiny_pairs.write_sounds(tmp_path / "again")
    (tmp_path / "again/c.wav").replace(sounds / "c.wav")
    for out, options in ((one, {}), (other, {"engine": engine(tmp_path / "parts")})):
        assert score(table, sounds, out, resume=True, **options).resumed == 2
    assert other.read_bytes() == one.read_bytes()


def test_rows_that_are_written_are_not_scored_again(table, sounds, tmp_path, last_first):
    spoil(sounds)
    out, judge = tmp_path / "out.csv", LengthJudge()
    score(table, sounds, out, on_error="nan")
    tiny_pairs.write_sounds(tmp_path / "again")
    (tmp_path / "again/e.wav").replace(sounds / "e.wav")
    parts = tmp_path / "parts"
    (parts / "left").mkdir(parents=True)  # by a run that was killed
    score(table, sounds, out, engine(parts, judge), on_error="nan", resume=True)
    assert [list(rows) for rows, _ in last_first] == [[2, 4]]
    assert judge.scored == 1 and not parts.exists()


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["score-table", *map(str, words)])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--engine", "ray"], "--engine ray need a file to write: name it by -o"),
        (["--workers", "2", "-o", "out.csv"], "--workers counts processes of a cluster"),
    ],
)
def test_what_an_engine_cannot_do_is_said_before_a_judge_is_loaded(table, words, sentence):
    refused = run(table, *words, "--model", "nowhere")
    assert refused.exit_code == 2 and sentence in refused.stderr
