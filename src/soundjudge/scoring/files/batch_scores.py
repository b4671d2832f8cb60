"""Batches of rows to scores; threads read the sounds of the next batch meanwhile."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError
from soundjudge.scoring.files.added_columns import Details, Scorer
from soundjudge.scoring.files.listed_pairs import ListedPairs
from soundjudge.scoring.judge.reading import read_ahead


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
    with closing(read_ahead(paths, audio.read_sound, plan.size)) as sounds:
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
