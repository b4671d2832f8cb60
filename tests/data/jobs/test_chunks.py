"""Chunks: their items, their writers, and the folder of rows that they become."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.jobs import chunks, ray_cluster
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, progress

ITEMS = [f"item{number}" for number in range(7)]


def row_writers(written):
    """A factory of writers of one row per item, its length and last digit; records file names."""

    def write(chunk):
        rows = np.array([[len(item), int(item[-1])] for item in chunk.items], np.float32)
        with artifacts.atomic_file(chunk.path) as temporary:
            np.save(temporary, rows)
        written.append(chunk.path.name)

    return lambda device: {"things": write}


def refuse_loading(device):
    raise AssertionError("an encoder was loaded, and no chunk is missing")


@settings(max_examples=25)
@given(st.integers(0, 20), st.integers(1, 5))
def test_every_item_is_in_one_chunk_and_in_its_order(many, count):
    items = [f"item{number}" for number in range(many)]
    split = chunks.split_chunks("things", items, Path("work"), count)
    assert [item for chunk in split for item in chunk.items] == items
    assert all(len(chunk.items) == count for chunk in split[:-1])
    assert all(1 <= len(chunk.items) <= count for chunk in split[-1:])
    assert [str(chunk.path) for chunk in split] == [
        f"work/things/{number:05d}.npy" for number in range(len(split))
    ]


@settings(max_examples=50)
@given(st.integers(1, 2**30))
def test_a_chunk_is_as_big_as_a_shard_may_be_and_a_killed_run_may_lose(row_bytes):
    size = chunks.chunk_size(row_bytes)
    assert 1 <= size <= 1024
    assert size * row_bytes <= 2**26 or size == 1
    assert size == 1024 or (size + 1) * row_bytes > 2**26


def test_only_missing_chunks_are_made_and_an_encoder_is_loaded_for_them_alone(tmp_path):
    split = chunks.split_chunks("things", ITEMS, tmp_path, 3)
    written: list[str] = []
    chunks.make_chunks(split, row_writers(written), "local", None, "cpu")
    assert written == ["00000.npy", "00001.npy", "00002.npy"]
    split[1].path.unlink()
    chunks.make_chunks(split, row_writers(written), "local", None, "cpu")
    assert written[3:] == ["00001.npy"]
    chunks.make_chunks(split, refuse_loading, "local", None, "cpu")
    chunks.make_chunks(split, refuse_loading, "ray", None, "cpu")  # nor is a cluster asked for


def test_a_long_stage_says_how_far_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    jobs = chunks.split_chunks("things", ["a1", "b2", "c3", "d4", "e5"], tmp_path, 2)
    factory = row_writers([])
    factory("cpu")["things"](jobs[0])  # by a run before
    chunks.make_chunks(jobs, factory, "local", None, "cpu")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" a second")[0].rpartition(", ")[0] for line in lines] == [
        "0 of 3 items",
        "2 of 3 items, things",
        "3 of 3 items, things",
    ]
    assert lines[-1].endswith("0:00:00 left")


def test_a_writer_makes_the_chunks_of_its_kind(tmp_path):
    kinds = ("clips", "captions")
    writers = {kind: row_writers([])("cpu")["things"] for kind in kinds}
    split = [chunks.split_chunks(kind, ITEMS, tmp_path, 4) for kind in kinds]
    chunks.make_chunks([*split[0], *split[1]], lambda device: writers, "local", None, "cpu")
    assert {kind: len(list((tmp_path / kind).iterdir())) for kind in kinds} == {
        "clips": 2,
        "captions": 2,
    }


def test_an_encoder_is_opened_once_and_on_the_device_that_is_asked_for(tmp_path):
    devices = []

    def factory(device):
        devices.append(device)
        return row_writers([])(device)

    chunks.make_chunks(
        chunks.split_chunks("things", ITEMS, tmp_path, 2), factory, "local", None, "cuda:1"
    )
    assert devices == ["cuda:1"]


def test_chunks_become_a_folder_of_rows_and_stay_until_the_stage_has_ended(tmp_path, monkeypatch):
    split = chunks.split_chunks("things", ITEMS, tmp_path / "work", 3)
    chunks.make_chunks(split, row_writers([]), "local", None, "cpu")
    chunks.gather_chunks(tmp_path / "linked", split, ITEMS)

    def refuse(self, target):
        raise OSError("another disk")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    chunks.gather_chunks(tmp_path / "copied", split, ITEMS)
    assert artifacts.sha256(tmp_path / "linked") == artifacts.sha256(tmp_path / "copied")
    assert all(chunk.path.is_file() for chunk in split)
    store = ArrayStore(tmp_path / "copied")
    assert (store.keys, store.shape) == (ITEMS, (7, 2))
    np.testing.assert_array_equal(store.gather(["item6", "item0"]), [[5, 6], [5, 0]])


def test_keys_may_share_rows_and_each_needs_one(tmp_path):
    split = chunks.split_chunks("things", ITEMS[:2], tmp_path / "work", 1)
    chunks.make_chunks(split, row_writers([]), "local", None, "cpu")
    chunks.gather_chunks(tmp_path / "out", split, list("abc"), [1, 0, 1])
    np.testing.assert_array_equal(ArrayStore(tmp_path / "out").gather(list("abc"))[:, 1], [1, 0, 1])
    with pytest.raises(SoundjudgeError, match="3 keys do not fit its 2 rows"):
        chunks.gather_chunks(tmp_path / "again", split, list("abc"))


def test_no_chunk_at_all_is_an_empty_folder_of_rows(tmp_path):
    chunks.gather_chunks(tmp_path / "out", [], [], np.empty(0, np.int64))
    assert len(ArrayStore(tmp_path / "out")) == 0


def config(engine, workers):
    return chunks.EncodingConfig(batch_size=3, engine=engine, workers=workers)


def test_who_makes_the_chunks_is_no_part_of_what_they_are():
    assert config("local", None).chunk_params() == {"batch_size": 3}
    assert config("ray", 5).chunk_params() == {"batch_size": 3}


@pytest.mark.parametrize(("engine", "workers"), [("local", 1), ("ray", 0), ("ray", -1)])
def test_workers_that_nobody_has_are_refused(engine, workers):
    with pytest.raises(ValueError, match=rf"workers is {workers} and engine {engine}"):
        config(engine, workers)


def test_any_number_of_actors_from_one_and_no_number_will_do():
    for engine, workers in (("local", None), ("ray", None), ("ray", 1), ("ray", 64)):
        config(engine, workers)


def test_a_chunk_that_no_node_but_its_own_can_see_is_an_error(tmp_path, monkeypatch):
    split = chunks.split_chunks("things", ITEMS, tmp_path, 4)
    monkeypatch.setattr(chunks, "NFS_TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(ray_cluster, "run_tasks", lambda *_: [(split[0], "node7")])
    with pytest.raises(ValueError, match="node7 has written .*00000.npy, and it is not here"):
        chunks.make_chunks(split, refuse_loading, "ray", None, "cpu")


def test_a_chunk_that_comes_late_over_the_network_is_waited_for(tmp_path, monkeypatch):
    (chunk,) = chunks.split_chunks("things", ITEMS, tmp_path, 7)

    def late(seconds):
        row_writers([])("cpu")["things"](chunk)

    monkeypatch.setattr(time, "sleep", late)
    monkeypatch.setattr(ray_cluster, "run_tasks", lambda *_: [(chunk, "node7")])
    chunks.make_chunks([chunk], refuse_loading, "ray", None, "cpu")
    assert chunk.path.is_file()
