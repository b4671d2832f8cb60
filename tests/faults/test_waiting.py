"""What waits costs no processor time, and ends when what it waits for dies or never comes."""

import fcntl
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants

from soundjudge.data.fetch import download
from soundjudge.data.fetch.entries import Mirror, RemoteFile
from soundjudge.data.jobs import chunks
from soundjudge.errors import HubError, SoundjudgeError
from soundjudge.page.jobs import JobQueue, Result
from soundjudge.page.limits import Limits
from soundjudge.runtime import artifacts
from soundjudge.runtime.read_ahead import read_ahead

FORK = multiprocessing.get_context("fork")
WAIT = 0.6  # seconds that are waited; who polls without a pause takes as much processor time


@contextmanager
def at_rest() -> Iterator[None]:
    """Whatever happens takes WAIT seconds, and less than a third of them of a processor."""
    wall, processor = time.monotonic(), time.process_time()
    yield
    assert time.process_time() - processor < WAIT / 3
    assert time.monotonic() - wall >= WAIT * 0.9


@pytest.fixture
def event() -> Iterator[threading.Event]:
    """Set after WAIT seconds."""
    happened = threading.Event()
    timer = threading.Timer(WAIT, happened.set)
    timer.start()
    yield happened
    timer.cancel()


def test_a_training_rests_while_its_next_step_is_read(event):
    def read(step: int) -> int:
        event.wait()
        return step

    with at_rest():
        steps = [future.result() for future in read_ahead(read, range(4), 2)]
    assert steps == [0, 1, 2, 3]


def test_a_training_whose_reader_fails_ends_and_leaves_no_thread(event):
    def read(step: int) -> int:
        if step == 1:
            raise OSError("the disk is gone")
        return step

    with closing(read_ahead(read, range(10**9), 2)) as steps:
        assert next(steps).result() == 0
        with pytest.raises(OSError, match="the disk is gone"):
            next(steps).result()
    assert not [thread for thread in threading.enumerate() if "read_ahead" in thread.name]


def test_the_local_page_rests_between_jobs_and_outlives_one_that_fails(event):
    def fail(progress: object) -> Result:
        raise RuntimeError("a bug")

    jobs = JobQueue(Limits())
    jobs.start()
    with at_rest():
        event.wait()
    cleaned = threading.Semaphore(0)
    first = jobs.submit(fail, cleaned.release)
    second = jobs.submit(lambda _: Result(page={}, csv=""), cleaned.release)
    assert cleaned.acquire(timeout=60) and cleaned.acquire(timeout=60)
    assert (first.state, second.state) == ("failed", "done")
    jobs.stop()


def test_who_waits_for_the_sha256_of_another_process_rests_and_goes_on_when_that_dies(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(artifacts, "REMEMBERED_BYTES", 0)
    path = tmp_path / "weights"
    path.write_bytes(b"x")
    expected = artifacts.remembered_sha256(path)
    (memory,) = (tmp_path / "cache/soundjudge/sha256").iterdir()
    memory.write_text("half")  # of a process that was killed

    def hold(is_held: object) -> None:
        with memory.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            is_held.set()  # type: ignore[attr-defined]
            time.sleep(600)

    is_held = FORK.Event()
    holder = FORK.Process(target=hold, args=(is_held,))
    holder.start()
    assert is_held.wait(60)
    threading.Timer(WAIT, holder.kill).start()
    with at_rest():
        assert artifacts.remembered_sha256(path) == expected
    holder.join()


def test_a_file_that_a_node_never_shows_is_a_sentence_after_a_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "NFS_TIMEOUT_SECONDS", WAIT)
    with (
        at_rest(),
        pytest.raises(SoundjudgeError, match="the node n1 has written .* and it is not here"),
    ):
        chunks.wait_for_file(tmp_path / "shard", "n1")


def test_a_hub_that_takes_a_call_and_never_answers_is_a_sentence_after_a_rest(monkeypatch):
    monkeypatch.setattr(download, "METADATA_SECONDS", WAIT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        mirror = Mirror("owner/name", "main")
        file = RemoteFile("a.safetensors", 1, None)
        with at_rest(), pytest.raises(HubError, match="timed out|out of reach"):
            download._list_files(mirror, [file])


def test_a_lock_whose_process_died_keeps_nobody_waiting(tmp_path: Path) -> None:
    from soundjudge.data.user_files.outputs import lock

    target = tmp_path / "out.csv"

    def die() -> None:
        with lock(target, target):
            os._exit(1)

    process = FORK.Process(target=die)
    process.start()
    process.join()
    start = time.monotonic()
    with lock(target, target):
        assert time.monotonic() - start < 5
    assert not list(tmp_path.iterdir())
