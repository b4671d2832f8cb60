"""Batches of rows scored by the actors of a Ray cluster, in the order and bytes of one process.

Each actor loads the judge once. Its batches come back as files, by a folder on the file system that
the nodes share.
"""

import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from soundjudge.data.jobs import chunks, ray_cluster
from soundjudge.runtime import artifacts
from soundjudge.scoring.files.added_columns import Scorer
from soundjudge.scoring.files.batch_scores import BatchPlan, BatchScores, score_batches
from soundjudge.scoring.files.listed_pairs import ListedPairs

BATCHES = 4  # of a task: its sounds are read ahead, and what rows share is encoded once


@dataclass(frozen=True, kw_only=True)
class Task:
    """Some rows, and the file of their batches."""

    rows: Sequence[int]
    path: Path


@dataclass(frozen=True, kw_only=True)
class RayBatches:
    """A `ScoreBatches` on the cluster."""

    load: Callable[[str], Scorer]  # a judge on a device: cpu or cuda
    device: str  # auto, cpu or cuda
    workers: int | None  # actors; None: one per GPU, or per processor
    folder: Path  # for the files, deleted in the end

    def __call__(
        self, scorer: Scorer, pairs: ListedPairs, rows: Sequence[int], plan: BatchPlan
    ) -> Generator[BatchScores, None, None]:
        """All batches, in the order of the rows; `scorer` is that of this process."""
        shutil.rmtree(self.folder, ignore_errors=True)  # of a run that was killed
        self.folder.mkdir(parents=True)
        load = self.load

        def score_task(judge: Scorer, task: Task) -> None:
            batches = list(score_batches(judge, pairs, task.rows, plan))
            artifacts.write_json(task.path, [asdict(batch) for batch in batches])

        def factory(device: str) -> ray_cluster.Run:
            judge = load(device)
            return lambda task: score_task(judge, task)

        size = plan.size * BATCHES
        starts = range(0, len(rows), size)
        waiting = [
            Task(rows=rows[start : start + size], path=self.folder / f"{start}.json")
            for start in starts
        ]
        completed: set[Path] = set()
        try:
            tasks = list(waiting)
            for task, node in ray_cluster.run_tasks(tasks, factory, self.device, self.workers):
                chunks.wait_for_file(task.path, node)
                completed.add(task.path)
                while waiting and waiting[0].path in completed:
                    yield from _read_batches(waiting.pop(0).path)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _read_batches(path: Path) -> Iterator[BatchScores]:
    for values in artifacts.read_json(path):
        # JSON's names are text.
        by_row = {
            name: {int(row): value for row, value in values[name].items()}
            for name in ("cells", "reasons", "flags")
        }
        yield BatchScores(**values | by_row)
