"""Engine ray: two nodes of one processor on this machine write the bytes that one process writes.

Stages and tables of scores are here together, as a cluster takes long to start.

Tests of a cluster are skipped where the package ray is missing.
"""

import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_judge
import tiny_training
import torch
from repository import run_stage, write_params
from tiny_cluster import needs_ray
from typer.testing import CliRunner

from soundjudge.clap.clapscore import clapscore
from soundjudge.cli import app
from soundjudge.data.jobs import chunks, ray_cluster
from soundjudge.data.jobs.ray_cluster import Actor
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.beats import save_beats
from soundjudge.scoring.files import batch_scores

pytestmark = pytest.mark.slow
ITEMS = [f"item{number}" for number in range(6)]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As an actor of one processor has: two threads add in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)  # which every stage turns on


def run(stage: str, engine: str) -> None:
    """A stage on the tiny files of the test, in batches of 3."""
    settings = {"batch_size": 3, "engine": engine}
    frontend = {"audio_tokens": 4, "window_seconds": 0.5}
    write_params(
        Path(),
        encoders__audio="beats.pt",
        embed=settings | {"workers": 1 if engine == "ray" else None},  # each loads for seconds
        features=settings | {"dtype": "float16", "frontend": frontend},
    )
    run_stage(stage)


@needs_ray
def test_both_stages_write_the_same_bytes_with_either_engine(
    two_nodes, one_thread, in_folder, monkeypatch
):
    monkeypatch.setattr(chunks, "MAX_CHUNK_ITEMS", 4)
    monkeypatch.setattr(chunks.split_chunks, "__defaults__", (4,))  # it is bound at the import
    tiny_training.clips(Path("data/prepared"))
    save_beats(tiny_training.encoder(), Path("beats.pt"))
    clapscore.ClapScore(tiny_clap.clap(), 7.0, 3.0).save(Path("checkpoints/clapscore"))
    outputs = {"embed": Path("data/embeddings"), "features": Path("data/features")}
    for name, output in outputs.items():
        run(name, "local")
        expected = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
        shutil.rmtree(output)
        run(name, "ray")
        assert {p: p.read_bytes() for p in output.rglob("*") if p.is_file()} == expected
    assert len(list(Path("data/features/shards").iterdir())) == 8  # 30 clips
    assert len(list(Path("data/embeddings/captions/shards").iterdir())) == 2


@needs_ray
def test_two_nodes_score_a_table_as_one_process_does(two_nodes, one_thread, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_scores, "BATCHES", 1)
    root = tmp_path / "repository"
    judge = tiny_judge.build(root / "checkpoints/judge", root)
    waves, texts = tiny_judge.pairs(12)
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    rows = ["file,text"]
    for number, (wave, text) in enumerate(zip(waves, texts, strict=True)):
        tiny_judge.soundfile.write(sounds / f"{number}.wav", wave, 16_000)
        rows.append(f"{number}.wav,{text}")
    rows.append("none.wav,a dog")
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(rows) + "\n")
    words = [table, "--audio-dir", sounds, "--model", judge, "--device", "cpu", "--members"]
    words += ["--batch-size", 3, "--on-error", "nan", "--json"]
    summaries = []
    for name in ("local", "ray"):
        command = ["score-table", *words, "-o", tmp_path / f"{name}.csv", "--engine", name]
        result = CliRunner().invoke(app, [str(word) for word in command])
        assert result.exit_code == 1, result.output  # one sound is missing
        assert isinstance(result.exception, SystemExit), repr(result.exception)
        summaries.append(json.loads(result.stdout) | {"output": ""})
    assert summaries[0] == summaries[1] and summaries[0]["failed"] == 1
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert not list(tmp_path.glob(".*parts"))


@needs_ray
def test_two_actors_share_the_chunks_and_either_engine_ends_what_the_other_began(
    two_nodes, tmp_path
):
    def factory(device: str):
        """Waits for the second actor, then records the process of each chunk."""
        actors = tmp_path / "actors"
        actors.mkdir(exist_ok=True)
        (actors / str(os.getpid())).write_text(device)
        deadline = time.monotonic() + 120
        while len(list(actors.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)

        def write(chunk) -> None:
            time.sleep(0.5)
            rows = np.array([[len(item), int(item[-1])] for item in chunk.items])
            np.save(chunk.path, rows)
            chunk.path.with_suffix(".pid").write_text(str(os.getpid()))

        return {"things": write}

    split = chunks.split_chunks("things", ITEMS, tmp_path, 1)
    split[0].path.parent.mkdir()
    chunks.make_chunks(split, factory, "ray", None, "auto")
    written = {path.read_text() for path in tmp_path.rglob("*.pid")}
    assert len(written) == 2 and str(os.getpid()) not in written
    assert {
        path.name: path.read_text() for path in (tmp_path / "actors").iterdir()
    } == dict.fromkeys(written, "cpu")
    expected = [chunk.path.read_bytes() for chunk in split]

    for chunk in split[::2]:  # as if the run had been killed
        chunk.path.unlink()
    chunks.make_chunks(split, factory, "local", None, "auto")
    assert [chunk.path.read_bytes() for chunk in split] == expected
    assert [chunk.path.with_suffix(".pid").read_text() == str(os.getpid()) for chunk in split] == [
        True,
        False,
    ] * 3


@needs_ray
def test_the_error_of_an_actor_comes_out_as_its_own_sentence(two_nodes, tmp_path):
    def factory(device: str):
        def write(chunk) -> None:
            if chunk.items == ("item2",):
                raise SoundjudgeError("the teacher gives no finite vector for 'item2'.")
            chunk.path.parent.mkdir(exist_ok=True)
            np.save(chunk.path, np.ones((1, 2)))

        return {"things": write}

    split = chunks.split_chunks("things", ITEMS, tmp_path, 1)
    sentence = r"^the teacher gives no finite vector for 'item2'\. \(on the node "
    with pytest.raises(SoundjudgeError, match=sentence):
        chunks.make_chunks(split, factory, "ray", 1, "cpu")
    assert not split[2].path.exists()


@needs_ray
def test_an_actor_that_the_cluster_has_no_processor_for_holds_no_task(two_nodes, tmp_path):
    def factory(device: str):
        return {"things": lambda chunk: np.save(chunk.path, np.ones((len(chunk.items), 2)))}

    split = chunks.split_chunks("things", ITEMS, tmp_path, 1)
    split[0].path.parent.mkdir()
    chunks.make_chunks(split, factory, "ray", 5, "cpu")
    assert all(chunk.path.exists() for chunk in split)


@needs_ray
def test_a_bug_in_a_task_traces_back(two_nodes, tmp_path):
    def factory(device: str):
        return {"things": lambda chunk: 1 / 0}

    split = chunks.split_chunks("things", ITEMS, tmp_path, 1)
    with pytest.raises(ZeroDivisionError):
        chunks.make_chunks(split, factory, "ray", 1, "cpu")


@needs_ray
def test_what_kills_an_actor_every_time_is_not_tried_for_ever(two_nodes, tmp_path):
    def factory(device: str):
        def write(chunk) -> None:
            with (tmp_path / "tries").open("a") as file:
                file.write("x")
            os._exit(1)

        return {"things": write}

    with pytest.raises(SoundjudgeError, match="the Ray cluster gave up: .*died"):
        chunks.make_chunks(
            chunks.split_chunks("things", ITEMS[:1], tmp_path, 1), factory, "ray", None, "cpu"
        )
    assert (tmp_path / "tries").read_text() == "xxx"


@needs_ray
def test_where_no_cluster_answers_the_remedy_is_named(monkeypatch, tmp_path):
    with socket.socket() as bound:  # and no process listens
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{bound.getsockname()[1]}")
        with pytest.raises(SoundjudgeError, match="start one with `ray start --head`.* refused"):
            chunks.make_chunks(
                chunks.split_chunks("things", ITEMS, tmp_path, 1), dict, "ray", None, "cpu"
            )


@needs_ray
def test_an_address_that_is_none_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", "the big one")
    with pytest.raises(SoundjudgeError, match="RAY_ADDRESS. The reason: .*the big one"):
        chunks.make_chunks(
            chunks.split_chunks("things", ITEMS, tmp_path, 1), dict, "ray", None, "cpu"
        )


def test_without_the_package_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SoundjudgeError, match=r"pip install 'soundjudge\[ray\]'"):
        chunks.make_chunks(
            chunks.split_chunks("things", ITEMS, tmp_path, 1), dict, "ray", None, "cpu"
        )


def actor_error(folder: Path, task: object, factory) -> str:
    """The error of an actor's only task."""
    node, sentence = Actor(folder, factory, "cpu").run_task(task)
    assert node == os.uname().nodename
    return sentence


def test_an_actor_works_in_the_folder_of_the_stage_and_loads_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stage").mkdir()
    loaded = []

    def factory(device: str):
        loaded.append(device)
        return lambda task: Path(task).write_text("done")

    actor = Actor(tmp_path / "stage", factory, "cuda")
    for name in ("a", "b"):
        assert actor.run_task(name)[1] == ""
    assert loaded == ["cuda"]
    assert sorted(path.name for path in (tmp_path / "stage").iterdir()) == ["a", "b"]


def test_a_node_without_the_folder_of_the_stage_says_so(tmp_path):
    sentence = actor_error(tmp_path / "elsewhere", "task", lambda device: print)
    assert sentence.startswith(f"there is no folder {tmp_path}/elsewhere: it must")


def test_an_encoder_that_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def factory(device: str):
        raise SoundjudgeError("beats.pt is no checkpoint.")

    assert actor_error(tmp_path, "task", factory) == "beats.pt is no checkpoint."


def test_what_is_no_sentence_for_people_is_rays_to_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError):
        actor_error(tmp_path, 0, lambda device: lambda task: 1 / task)


@pytest.mark.parametrize(
    ("resources", "device", "workers", "expected"),
    [
        ({"CPU": 64.0, "GPU": 8.0}, "auto", None, ("cuda", 8)),
        ({"CPU": 64.0, "GPU": 8.0}, "cuda", 3, ("cuda", 3)),
        ({"CPU": 64.0, "GPU": 8.0}, "cpu", None, ("cpu", 64)),
        ({"CPU": 2.0}, "auto", None, ("cpu", 2)),
        ({"CPU": 2.0}, "cpu", 1, ("cpu", 1)),
        ({}, "cpu", 4, ("cpu", 4)),  # a cluster that grows when it is asked to
    ],
)
def test_there_is_an_actor_for_each_gpu_or_else_for_each_processor(
    resources, device, workers, expected
):
    assert ray_cluster.plan_actors(resources, device, workers) == expected


@pytest.mark.parametrize(
    ("resources", "device", "match"),
    [
        ({"CPU": 2.0}, "cuda", "the Ray cluster has no GPU"),
        ({}, "auto", "the Ray cluster has no processor"),
        ({"CPU": 2.0}, "mps", "device is 'mps'"),
        ({"CPU": 2.0, "GPU": 2.0}, "cuda:1", "device is 'cuda:1'"),
    ],
)
def test_a_cluster_that_lacks_what_is_asked_for_is_an_error(resources, device, match):
    with pytest.raises(SoundjudgeError, match=match):
        ray_cluster.plan_actors(resources, device, None)
