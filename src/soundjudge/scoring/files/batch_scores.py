"""Batches of rows to scores; threads read the sounds of the next batch meanwhile."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from soundjudge.data.audio import audio
from soundjudge.errors import AudioError
from soundjudge.scoring.files.added_columns import Details, Scorer
from soundjudge.scoring.files.listed_pairs import ListedPairs
from soundjudge.scoring.judge.reading import read_ahead


@dataclass(kw_only=True)
class BatchScores:
    """Cells, reasons where there are none, and flags of the pairs, by row."""

    stop: int  # behind the last row that was tried
    stopped: bool = False  # at a row without a score
    cells: dict[int, list[str]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    flags: dict[int, list[str]] = field(default_factory=dict)


class TableReader:
    """Scores rows of a table; `stops`: at the first sound that cannot be read."""

    def __init__(
        self, scorer: Scorer, pairs: ListedPairs, rows: Sequence[int], size: int, *, stops: bool
    ) -> None:
        self.scorer, self.pairs, self.rows = scorer, pairs, rows
        self.size, self.stops = size, stops
        self._open = ExitStack()

    def __enter__(self) -> Self:
        paths = [self.pairs.paths[row] for row in self.rows]
        reading = read_ahead(paths, audio.read_sound, self.size)
        self._sounds = self._open.enter_context(closing(reading))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def batches(self, details: Details) -> Iterator[BatchScores]:
        """One after another."""
        for start in range(0, len(self.rows), self.size):
            yield self._batch(self.rows[start : start + self.size], details)

    def _batch(self, rows: Sequence[int], details: Details) -> BatchScores:
        batch = BatchScores(stop=rows[-1] + 1)
        sounds: dict[int, audio.Sound] = {}
        for row in rows:
            name = self.pairs.table.pair(row)[0]
            try:
                sounds[row] = next(self._sounds).result()
            except AudioError as error:
                hint = self.pairs.folder.hint(name) if error.reason == "missing" else ""
                batch.reasons[row] = f"{error}{hint}"
                if self.stops:
                    batch.stop, batch.stopped = row, True
                    break
        if sounds:
            texts = [self.pairs.table.pair(row)[1] for row in sounds]
            scored = self.scorer.score_sounds(list(sounds.values()), texts, self.size)
            for row, pair in zip(sounds, scored, strict=True):
                batch.cells[row] = details.cells(pair)
                batch.flags[row] = pair.flag_sentences()
        return batch
