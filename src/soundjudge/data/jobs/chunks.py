"""Rows of very many items made chunk by chunk: a killed run loses one chunk, memory holds one.

A chunk is some consecutive items and the file of their rows, which lies in a work folder until all
are made, and is then a shard of the output. What it holds depends on its items alone, not on who
made it or when.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from soundjudge.runtime import artifacts
from soundjudge.data.jobs import ray_cluster
from soundjudge.data.arrays.array_store import SHARD_BYTES, shard_path, write_keys, write_rows
from soundjudge.errors import SoundjudgeError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_CHUNK_ITEMS = 1024  # of a chunk, at most
NFS_TIMEOUT_SECONDS = 60  # seconds until the file of another node is seen: NFS looks twice a minute

Engine = Literal["local", "ray"]




@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some items, and the array file with a row for each."""

    kind: str  # whose writer makes it
    path: Path
    items: tuple[str, ...]


Writer = Callable[[Chunk], None]  # writes the file of a chunk, the whole or none
WriterFactory = Callable[[str], Mapping[str, Writer]]  # given a device, loads an encoder: writers by kind


def check_engine(engine: Engine, workers: int | None) -> None:
    """Refuses workers that the engine does not have."""
    if workers is not None and (engine == "local" or workers < 1):
        raise SoundjudgeError(
            f"workers is {workers} and engine {engine}: write null, or with engine ray at least 1."
        )


def chunk_params(section: "DataclassInstance") -> dict[str, Any]:
    """What the bytes of the chunks depend on: a section of params.yaml, who makes them apart."""
    values = dataclasses.asdict(section)
    return {name: values[name] for name in values if name not in ("engine", "workers")}


def chunk_size(row_bytes: int) -> int:
    """The number of items of a chunk whose rows take so many bytes each."""
    return max(1, min(MAX_CHUNK_ITEMS, SHARD_BYTES // row_bytes))


def split_chunks(kind: str, items: Sequence[str], work: Path, count: int) -> list[Chunk]:
    """Consecutive items, `count` a chunk, with their places in work/<kind>/."""
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
    chunks: Sequence[Chunk], opened: WriterFactory, engine: Engine, workers: int | None, device: str
) -> None:
    """Makes the chunks that are not there yet, in this process or on a Ray cluster."""
    missing = [chunk for chunk in chunks if not chunk.path.exists()]
    if not missing:
        return
    if engine == "ray":
        for chunk, node in ray_cluster.run_tasks(missing, partial(_writer, opened), device, workers):
            _await(chunk.path, node)
        return
    write = _writer(opened, device)
    for chunk in missing:
        write(chunk)


def _writer(opened: WriterFactory, device: str) -> Writer:
    writers = opened(device)
    return lambda chunk: writers[chunk.kind](chunk)


def _await(path: Path, node: str) -> None:
    until = time.monotonic() + NFS_TIMEOUT_SECONDS
    while not path.exists():
        if time.monotonic() > until:
            raise SoundjudgeError(
                f"the node {node} has written {path}, and it is not here: the folder work/ must "
                "lie on a file system that all nodes of the cluster share."
            )
        time.sleep(1)


def gather_chunks(
    folder: Path, chunks: Sequence[Chunk], keys: Sequence[str], rows: ArrayLike | None = None
) -> None:
    """Makes a folder of rows of the chunks, in their order; `rows` names the row of each key."""
    if not chunks:
        write_rows(folder, keys, [], rows)
        return
    shard_path(folder, 0).parent.mkdir(parents=True)
    for number, chunk in enumerate(chunks):
        # A link, not a move: until the stage has ended, a killed run needs it where it is.
        artifacts.link_or_copy(chunk.path, shard_path(folder, number))
    write_keys(folder, keys, np.arange(len(keys)) if rows is None else rows)
