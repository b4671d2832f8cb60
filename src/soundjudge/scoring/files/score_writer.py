"""Writes the scores and the errors of a table row by row, so that a killed run can be resumed.

`OUT` holds the rows of the table plus `pred_score`, in the table's order; a row without a score has
an empty cell or is left out. `OUT.errors.csv` tells why, and is only written: row (1 is the first
below the header), wav_file_name, text, reason.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soundjudge.data.user_files import delimited
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.matching import PAIR
from soundjudge.scoring.evaluation.reference_tables import PREDICTION

ERROR_COLUMNS = ["row", *PAIR, "reason"]
# Rows that are scored late are inserted by writing OUT anew: when they are this share of it.
INSERTED_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class PairTable:
    """A table of pairs as it was written: every cell is text."""

    columns: list[str]
    rows: list[list[str]]

    def pair(self, index: int) -> list[str]:
        """wav_file_name and text of a row, counted from 0."""
        return [self.rows[index][self.columns.index(name)] for name in PAIR]


def errors_path(out: Path) -> Path:
    """Where the rows without a score are listed: OUT.csv.errors.csv beside OUT.csv."""
    return out.with_name(out.name + ".errors.csv")


class ScoreWriter:
    """Both files of one run: the first `done` rows of the table have `scores` or none.

    `blank` writes a row without a score with an empty cell; otherwise it is left out. Nothing is
    written before there is something to write.
    """

    def __init__(
        self, pairs: PairTable, out: Path, *, blank: bool, scores: Mapping[int, float], done: int
    ) -> None:
        self.pairs, self.out, self.report, self.done = pairs, out, errors_path(out), done
        self.scores = dict(scores)
        self.failures: dict[int, str] = {}
        self._blank = blank
        self._unsaved = 0  # scores that are not in OUT
        self._is_current = False  # whether OUT holds the first `done` rows, all but the unsaved

    def append(self, stop: int, scores: Mapping[int, float]) -> None:
        """Writes the next rows, up to `stop`."""
        if not self._is_current or self._unsaved:
            self._rewrite()
        start, self.done = self.done, stop
        self.scores |= scores
        _append(self.out, self._lines(start))

    def insert(self, scores: Mapping[int, float]) -> None:
        """Takes scores of rows before `done`."""
        self.scores |= scores
        self._unsaved += len(scores)
        if self._unsaved > INSERTED_SHARE * self.done:
            self._rewrite()

    def report_failures(self, reasons: Mapping[int, str]) -> None:
        """Lists rows in the report."""
        if not self.failures:
            _write(self.report, [ERROR_COLUMNS])
        _append(
            self.report,
            [
                [str(row + 1), *self.pairs.pair(row), " ".join(reason.split())]
                for row, reason in sorted(reasons.items())
            ],
        )
        self.failures |= reasons

    def save(self) -> None:
        """Writes the scores that are not in OUT yet."""
        if self._unsaved:
            self._rewrite()

    def finish(self) -> None:
        """Writes what is not written yet, and removes the report of a run without failures."""
        if not self._is_current or self._unsaved:
            self._rewrite()
        if not self.failures:
            self.report.unlink(missing_ok=True)

    def _rewrite(self) -> None:
        _write(self.out, [[*self.pairs.columns, PREDICTION], *self._lines(0)])
        self._is_current, self._unsaved = True, 0

    def _lines(self, start: int) -> list[list[str]]:
        return [
            [*self.pairs.rows[row], f"{self.scores[row]:.4f}" if row in self.scores else ""]
            for row in range(start, self.done)
            if self._blank or row in self.scores
        ]


def _write(path: Path, rows: list[list[str]]) -> None:
    with (
        artifacts.atomic_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        delimited.write_rows(file, rows)


def _append(path: Path, rows: list[list[str]]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        delimited.write_rows(file, rows)
        file.flush()
        os.fsync(file.fileno())
