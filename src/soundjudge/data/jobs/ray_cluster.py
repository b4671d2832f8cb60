"""Tasks done by actors of Ray Data on the devices of a cluster; the only module that knows Ray.

The cluster runs already (`ray start`). Its nodes have this Python environment, and the folder that
the stage runs in, at the same place and on a file system that they share.
"""

import os
import pickle
import platform
import re
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from soundjudge.errors import SoundjudgeError

T = TypeVar("T")
Task = Callable[[Any], None]  # does one task
TaskFactory = Callable[[str], Task]  # given a device, loads what doing needs: once in every process

RETRIES = 2  # of an actor that died, and of its task: what kills it every time must come out
PROBE = 10  # seconds for RAY_ADDRESS to answer; Ray itself tries for more than three minutes




def run_tasks(
    tasks: Sequence[T], opened: TaskFactory, device: str, workers: int | None
) -> Iterator[tuple[T, str]]:
    """Does all tasks, each by one of the actors; yields what is done, as it is, with its node.

    `workers` is the number of actors: by default one for each GPU of the cluster, or for each
    processor where it has no GPU or `device` is cpu. A ValueError of a task comes out as a
    ClusterError with the same sentence, and what has not begun is not done.
    """
    with _connected() as ray:
        kind, size = plan_actors(ray.cluster_resources(), device, workers)
        listed = [{"number": n, "task": pickle.dumps(task)} for n, task in enumerate(tasks)]
        with warnings.catch_warnings():
            # Ray 2.64 will not be told how often to restart: pyproject.toml stays below it.
            warnings.filterwarnings("ignore", message="`ray_remote_args`")
            done = ray.data.from_items(listed, override_num_blocks=len(listed)).map(
                Actor,
                fn_constructor_args=(Path.cwd(), opened, kind),
                compute=ray.data.ActorPoolStrategy(
                    size=min(size, len(listed)), max_tasks_in_flight_per_actor=1
                ),
                **({"num_gpus": 1} if kind == "cuda" else {"num_cpus": 1}),
                max_restarts=RETRIES,
                max_task_retries=RETRIES,
            )
        try:
            for row in done.iter_rows():
                if row["error"]:
                    raise SoundjudgeError(f"{row['error']} (on the node {row['node']})")
                yield tasks[row["number"]], row["node"]
        except ray.exceptions.RayError as error:
            raise SoundjudgeError(f"the Ray cluster gave up: {error}") from error


class Actor:
    """One process on the cluster: loads what it needs at its first task, and keeps it."""

    def __init__(self, folder: Path, opened: TaskFactory, device: str) -> None:
        self.folder, self.opened, self.device = folder, opened, device

    @cached_property
    def do(self) -> Task:
        """Does one task. Not loaded by __init__, whose errors come back inside Ray's own."""
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise SoundjudgeError(
                f"there is no folder {self.folder}: it must lie at the same place on all nodes of "
                "the cluster, on a file system that they share."
            ) from error
        return self.opened(self.device)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Does the task of a row; says where, and the ValueError that it met."""
        error = ""
        try:
            self.do(pickle.loads(row["task"]))
        except ValueError as met:
            error = f"{type(met).__name__}: {met}"
        return {"number": row["number"], "node": platform.node(), "error": error}


def plan_actors(resources: Mapping[str, float], device: str, workers: int | None) -> tuple[str, int]:
    """What an actor runs on, cpu or cuda, and the number of actors, for a cluster's resources."""
    gpus, processors = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    if device not in ("auto", "cpu", "cuda"):
        raise SoundjudgeError(f"device is {device!r}: with engine ray it is auto, cpu or cuda.")
    if device == "cuda" and not gpus:
        raise SoundjudgeError("device is 'cuda', and the Ray cluster has no GPU: write auto or cpu.")
    kind = "cuda" if gpus and device != "cpu" else "cpu"
    size = workers or (gpus if kind == "cuda" else processors)
    if not size:
        raise SoundjudgeError("the Ray cluster has no processor: add a node to it.")
    return kind, size


@contextmanager
def _connected() -> Iterator[Any]:
    """The module ray, connected to the cluster that runs."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise SoundjudgeError(
            "engine ray needs Ray Data: pip install 'soundjudge[ray]', or write engine: local."
        ) from error
    if ray.is_initialized():
        yield ray
        return
    try:
        _probe(os.environ.get("RAY_ADDRESS", ""))
        ray.init(address="auto")  # that of RAY_ADDRESS, or one that has a node on this machine
    except (OSError, RuntimeError, ValueError) as error:
        raise SoundjudgeError(
            "no Ray cluster can be used: start one with `ray start --head`, or name one that runs "
            f"in RAY_ADDRESS. The reason: {error}"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    if place := re.fullmatch(r"([\w.-]+):(\d+)", address):
        socket.create_connection((place[1], int(place[2])), timeout=PROBE).close()
