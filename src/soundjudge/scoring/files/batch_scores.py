"""Batches of rows to scores, here or on a Ray cluster, in the order and bytes of one process.

Threads read the sounds of the next batch meanwhile. Each actor of a cluster loads the judge once;
its batches come back as files, by a folder on the file system that the nodes share.
"""

import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from soundjudge.data.audio import audio
from soundjudge.data.jobs import chunks, ray_cluster
from soundjudge.errors import AudioError
from soundjudge.runtime import artifacts
from soundjudge.runtime.read_ahead import DECODERS, read_ahead
from soundjudge.scoring.files.listed_pairs import ListedPairs
from soundjudge.scoring.files.pair_reports import Details, Scorer

BATCHES = 4  # of a task: its sounds are read ahead, and what rows share is encoded once


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """How the rows of a table are scored."""

    size: int  # rows of a batch
    stops: bool  # at the first sound that cannot be read
    details: Details


@dataclass(kw_only=True)
class BatchScores:
    """Cells, reasons where there are none, and flags of the pairs, by row."""

    stop: int  # behind the last row that was tried
    stopped: bool = False  # at a row without a score
    cells: dict[int, list[str]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    flags: dict[int, list[str]] = field(default_factory=dict)


ScoreBatches = Callable[
    [Scorer, ListedPairs, Sequence[int], BatchPlan], Generator[BatchScores, None, None]
]


def score_batches(
    scorer: Scorer, pairs: ListedPairs, rows: Sequence[int], plan: BatchPlan
) -> Generator[BatchScores, None, None]:
    """Scores rows of a table in this process, one batch after another."""
    paths = [pairs.paths[row] for row in rows]
    ahead, remember = plan.size, 2 * plan.size
    with closing(
        read_ahead(audio.read_sound, paths, ahead, threads=DECODERS, remember=remember)
    ) as sounds:
        for start in range(0, len(rows), plan.size):
            yield _score_batch(scorer, pairs, rows[start : start + plan.size], sounds, plan)


def _score_batch(
    scorer: Scorer,
    pairs: ListedPairs,
    rows: Sequence[int],
    reading: Iterator[Future[audio.Sound]],
    plan: BatchPlan,
) -> BatchScores:
    batch = BatchScores(stop=rows[-1] + 1)
    sounds: dict[int, audio.Sound] = {}
    for row in rows:
        try:
            sounds[row] = next(reading).result()
        except AudioError as error:
            name = pairs.table.pair(row)[0]
            hint = pairs.folder.hint(name) if error.reason == "missing" else ""
            batch.reasons[row] = f"{error}{hint}"
            if plan.stops:
                batch.stop, batch.stopped = row, True
                break
    if sounds:
        texts = [pairs.table.pair(row)[1] for row in sounds]
        scored = scorer.score_sounds(list(sounds.values()), texts, plan.size)
        for row, pair in zip(sounds, scored, strict=True):
            batch.cells[row] = plan.details.cells(pair)
            batch.flags[row] = pair.flag_sentences()
    return batch


Task = tuple[Sequence[int], Path]  # rows, and the file of their batches


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

        def factory(device: str) -> Callable[[Task], None]:
            judge = load(device)

            def score_task(task: Task) -> None:
                rows, path = task
                batches = score_batches(judge, pairs, rows, plan)
                artifacts.write_json(path, [asdict(batch) for batch in batches])

            return score_task

        size = plan.size * BATCHES
        starts = range(0, len(rows), size)
        tasks = [(rows[start : start + size], self.folder / f"{start}.json") for start in starts]
        waiting = [path for _, path in tasks]
        completed: set[Path] = set()
        try:
            for (_, path), node in ray_cluster.run_tasks(tasks, factory, self.device, self.workers):
                chunks.wait_for_file(path, node)
                completed.add(path)
                while waiting and waiting[0] in completed:
                    yield from _read_batches(waiting.pop(0))
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
