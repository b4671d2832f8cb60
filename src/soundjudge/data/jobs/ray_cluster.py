"""Tasks run by Ray's actors on the devices of a cluster; the only module that knows Ray.

The cluster is already running (`ray start`). Its nodes have this Python environment, and the folder
of the stage at the same path on a file system that they share.
"""

import os
import platform
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from soundjudge.errors import SoundjudgeError

T = TypeVar("T")
Run = Callable[[Any], None]  # runs one task
RunFactory = Callable[[str], Run]  # loads to a device what running needs: once in every process

MAX_RETRIES = 2  # of an actor that died, and of its task
PROBE_SECONDS = 10  # for RAY_ADDRESS to answer; Ray itself tries for more than three minutes


def run_tasks(
    tasks: Sequence[T], factory: RunFactory, device: str, workers: int | None
) -> Iterator[tuple[T, str]]:
    """Runs all tasks, each in one of the actors; yields each completed task and its node.

    `workers` is the number of actors: by default one for each GPU of the cluster, or for each
    processor where it has no GPU or `device` is cpu. A SoundjudgeError of a task is raised here
    with the same sentence, and tasks that have not begun are not run.
    """
    with _connect() as ray:
        kind, size = plan_actors(ray.cluster_resources(), device, workers)
        remote = ray.remote(Actor).options(
            **({"num_gpus": 1} if kind == "cuda" else {"num_cpus": 1}),
            max_restarts=MAX_RETRIES,
            max_task_retries=MAX_RETRIES,
        )
        actors = [remote.remote(Path.cwd(), factory, kind) for _ in range(min(size, len(tasks)))]
        try:
            yield from _distribute(ray, tasks, actors)
        except ray.exceptions.RayTaskError:  # a bug of ours: Ray shows the actor's traceback
            raise
        except ray.exceptions.RayError as error:
            raise SoundjudgeError(f"the Ray cluster gave up: {error}") from error


def _distribute(ray: ModuleType, tasks: Sequence[T], actors: list[Any]) -> Iterator[tuple[T, str]]:
    """Gives every actor that has started one task at a time, until all are completed."""
    # An actor that waits for a processor must hold no task: it may never get one.
    awaited: dict[Any, tuple[Any, T | None]]
    awaited = {actor.__ray_ready__.remote(): (actor, None) for actor in actors}
    queue, completed = list(reversed(tasks)), 0
    while completed < len(tasks):
        (reference,), _ = ray.wait(list(awaited), num_returns=1)
        actor, task = awaited.pop(reference)
        answer = ray.get(reference)
        if task is not None:
            node, sentence = answer
            if sentence:
                raise SoundjudgeError(f"{sentence} (on the node {node})")
            completed += 1
            yield task, node
        if queue:
            task = queue.pop()
            awaited[actor.run_task.remote(task)] = (actor, task)


class Actor:
    """A process on the cluster: loads what it needs at its first task, and keeps it."""

    def __init__(self, folder: Path, factory: RunFactory, device: str) -> None:
        self.folder, self.factory, self.device = folder, factory, device

    @cached_property
    def run(self) -> Run:
        """Runs one task. Not loaded by __init__, whose errors Ray wraps in its own."""
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise SoundjudgeError(
                f"there is no folder {self.folder}: it must have the same path on all nodes of "
                "the cluster, on a file system that they share."
            ) from error
        return self.factory(self.device)

    def run_task(self, task: object) -> tuple[str, str]:
        """Runs the task; returns the node, and the sentence of an error or an empty one."""
        try:
            self.run(task)
        except SoundjudgeError as error:
            return platform.node(), str(error)
        return platform.node(), ""


def plan_actors(resources: dict[str, float], device: str, workers: int | None) -> tuple[str, int]:
    """The device of every actor, cpu or cuda, and their number, for a cluster's resources."""
    gpus, processors = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    if device not in ("auto", "cpu", "cuda"):
        raise SoundjudgeError(f"device is {device!r}: with engine ray it is auto, cpu or cuda.")
    if device == "cuda" and not gpus:
        raise SoundjudgeError("device is 'cuda', and the Ray cluster has no GPU: write auto or cpu")
    kind = "cuda" if gpus and device != "cpu" else "cpu"
    size = workers or (gpus if kind == "cuda" else processors)
    if not size:
        raise SoundjudgeError("the Ray cluster has no processor: add a node to it.")
    return kind, size


@contextmanager
def _connect() -> Iterator[ModuleType]:
    """The module ray, connected to the running cluster."""
    try:
        import ray
    except ImportError as error:
        raise SoundjudgeError(
            "engine ray needs Ray: pip install 'soundjudge[ray]', or write engine: local."
        ) from error
    if ray.is_initialized():
        yield ray
        return
    try:
        _probe(os.environ.get("RAY_ADDRESS", ""))
        ray.init(address="auto")  # that of RAY_ADDRESS, or one that has a node on this machine
    except (OSError, RuntimeError, ValueError) as error:
        raise SoundjudgeError(
            "no Ray cluster can be used: start one with `ray start --head`, or name a running one "
            f"in RAY_ADDRESS. The reason: {error}"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    if match := re.fullmatch(r"([\w.-]+):(\d+)", address):
        socket.create_connection((match[1], int(match[2])), timeout=PROBE_SECONDS).close()
