"""Rows of very many items, written chunk by chunk: a killed run loses one chunk, memory holds one.

A chunk is some consecutive items and the file of their rows, which stays in a work folder until all
chunks are complete, and is then a shard of the output. Its contents depend on its items alone, not
on the process that wrote it.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from soundjudge.data.arrays.array_store import SHARD_BYTES, shard_path, write_keys, write_rows
from soundjudge.data.jobs import ray_cluster
from soundjudge.errors import SoundjudgeError
from soundjudge.ranges import LARGEST_BATCH, check_range
from soundjudge.runtime import artifacts
from soundjudge.runtime.progress import ProgressReport, log_line

MAX_CHUNK_ITEMS = 1024
NFS_TIMEOUT_SECONDS = 60  # until another node's file is visible: NFS looks twice a minute

Engine = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some items, and the array file with a row for each."""

    kind: str  # names its writer
    path: Path
    items: tuple[str, ...]


Writer = Callable[[Chunk], None]  # writes the file of a chunk, the whole or none
WriterFactory = Callable[[str], Mapping[str, Writer]]  # for a device: kind -> writer


@dataclass(frozen=True, kw_only=True)
class EncodingConfig:
    """How very many items are encoded; section `clap_features` of params.yaml."""

    batch_size: int  # clips or texts at once
    engine: Engine = "local"
    """local = this process; ray = actors on a running Ray cluster whose nodes share this folder;
    the same bytes on devices of the same kind."""
    workers: int | None = None  # Ray actors; null = one per GPU, or per processor without GPUs

    def __post_init__(self) -> None:
        check_range(self, "batch_size", least=1, most=LARGEST_BATCH)
        if self.workers is not None and (self.engine == "local" or self.workers < 1):
            raise SoundjudgeError(
                f"workers is {self.workers} and engine {self.engine}: write null, or with engine "
                "ray at least 1."
            )

    def chunk_params(self) -> dict[str, Any]:
        """The keys that the bytes of chunks depend on: all but engine and workers."""
        values = dataclasses.asdict(self)
        return {name: values[name] for name in values if name not in ("engine", "workers")}


def chunk_size(row_bytes: int) -> int:
    """The number of items per chunk for rows of so many bytes."""
    return max(1, min(MAX_CHUNK_ITEMS, SHARD_BYTES // row_bytes))


def split_chunks(
    kind: str, items: Sequence[str], work: Path, count: int = MAX_CHUNK_ITEMS
) -> list[Chunk]:
    """Consecutive items, `count` per chunk, with files in work/<kind>/."""
    starts = range(0, len(items), count)
    return [
        Chunk(
            kind=kind,
            path=work / kind / f"{number:05d}.npy",
            items=tuple(items[start : start + count]),
        )
        for number, start in enumerate(starts)
    ]


def make_chunks(
    chunks: Sequence[Chunk],
    factory: WriterFactory,
    engine: Engine,
    workers: int | None,
    device: str,
) -> None:
    """Writes the chunks that have no file yet, in this process or on a Ray cluster.

    Shows how many of their items are done, and the time left.
    """
    missing = [chunk for chunk in chunks if not chunk.path.exists()]
    if not missing:
        return
    done, total = 0, sum(len(chunk.items) for chunk in missing)
    with closing(ProgressReport("items", log_line)) as report:
        report.update(0, total, str)
        for chunk in _write_chunks(missing, factory, engine, workers, device):
            done += len(chunk.items)
            report.update(done, total, partial(str, chunk.kind))


def _write_chunks(
    missing: Sequence[Chunk],
    factory: WriterFactory,
    engine: Engine,
    workers: int | None,
    device: str,
) -> Iterator[Chunk]:
    """Writes the chunks, each of which follows when its file is there."""
    if engine == "ray":
        load = partial(_load_writer, factory)
        for chunk, node in ray_cluster.run_tasks(missing, load, device, workers):
            wait_for_file(chunk.path, node)
            yield chunk
        return
    write = _load_writer(factory, device)
    for chunk in missing:
        write(chunk)
        yield chunk


def _load_writer(factory: WriterFactory, device: str) -> Writer:
    writers = factory(device)
    return lambda chunk: writers[chunk.kind](chunk)


def wait_for_file(path: Path, node: str) -> None:
    """Waits until a file that a node has written is here. Raises SoundjudgeError if it never is."""
    deadline = time.monotonic() + NFS_TIMEOUT_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise SoundjudgeError(
                f"the node {node} has written {path}, and it is not here: its folder must lie "
                "on a file system that all nodes of the cluster share."
            )
        time.sleep(1)


def gather_chunks(
    folder: Path, chunks: Sequence[Chunk], keys: Sequence[str], rows: ArrayLike | None = None
) -> None:
    """Makes a folder of rows of the chunks, in their order; `rows` is the row of each key."""
    if not chunks:
        write_rows(folder, keys, [], rows)
        return
    shard_path(folder, 0).parent.mkdir(parents=True)
    for number, chunk in enumerate(chunks):
        # A link, not a move: a run that is killed before its end needs the chunk in its place.
        artifacts.link_or_copy(chunk.path, shard_path(folder, number))
    write_keys(folder, keys, np.arange(len(keys)) if rows is None else rows)
