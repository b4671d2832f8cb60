"""The output and the error report of a long scoring run, so written that a killed run can go on.

`OUT` holds the rows of a table plus `pred_score`; `OUT.errors.csv` holds the rows without a score:
row (1 is the first below the header), wav_file_name, text, reason. A failed row has an empty cell
in `OUT` or is left out of it, as the run's policy says; going on, both are understood.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

KEYS = ("wav_file_name", "text")
SCORE = "pred_score"
ERROR_COLUMNS = ["row", *KEYS, "reason"]


@dataclass(frozen=True, kw_only=True)
class PairTable:
    """A table of pairs as it was written: every cell is text."""

    columns: list[str]
    rows: list[list[str]]

    def key(self, index: int) -> list[str]:
        """wav_file_name and text of a row, counted from 0."""
        return [self.rows[index][self.columns.index(name)] for name in KEYS]


def errors_path(out: Path) -> Path:
    """Where the rows without a score are listed: OUT.csv.errors.csv beside OUT.csv."""
    return out.with_name(out.name + ".errors.csv")


class Ledger:
    """Both files of one run; `done` rows are dealt with, `failures` of them in vain."""

    def __init__(self, pairs: PairTable, out: Path, *, resume: bool) -> None:
        self.pairs, self.out, self.report = pairs, out, errors_path(out)
        self.done = 0
        self.failures: dict[int, str] = {}
        self.last_score: tuple[int, float] | None = None
        kept = self._understood() if resume and out.exists() else []
        _rewrite(out, [*pairs.columns, SCORE], kept)
        if self.failures:
            _rewrite(self.report, ERROR_COLUMNS, self._reasons(self.failures))
        else:
            self.report.unlink(missing_ok=True)

    def add(self, scores: Sequence[float | None], reasons: dict[int, str], *, blank: bool) -> None:
        """Appends the next rows: a score each, or None and a reason under the row's number from 0.

        `blank` writes a failed row with an empty cell; otherwise it is left out.
        """
        if reasons:
            # The report first: a row that it names and OUT lacks is simply tried again.
            if not self.failures:
                _rewrite(self.report, ERROR_COLUMNS, [])
            _append(self.report, self._reasons(reasons))
            self.failures |= reasons
        rows = [
            [*self.pairs.rows[index], "" if score is None else repr(score)]
            for index, score in enumerate(scores, start=self.done)
            if blank or score is not None
        ]
        _append(self.out, rows)
        self.done += len(scores)

    def note(self, index: int, reason: str) -> None:
        """Reports a row at which the run stops, without counting it as done."""
        if not self.failures:
            _rewrite(self.report, ERROR_COLUMNS, [])
        _append(self.report, self._reasons({index: reason}))

    def _reasons(self, reasons: dict[int, str]) -> list[list[str]]:
        return [[str(row + 1), *self.pairs.key(row), why] for row, why in sorted(reasons.items())]

    def _understood(self) -> list[list[str]]:
        """The rows of an earlier run's OUT, after matching them with the table; sets the counts."""
        rows = _complete_rows(self.out)
        header = [*self.pairs.columns, SCORE]
        if rows[:1] != [header]:
            raise SoundjudgeError(
                f"{self.out} has not the columns {','.join(header)}: it is no output of this "
                "table, so there is nothing to resume"
            )
        rows = rows[1:]
        failed = self._earlier_failures()
        position = 0
        for number, row in enumerate(rows, start=1):
            while position in failed and row != [*self._row(position), ""]:
                position += 1
            if row[:-1] != self._row(position) or (row[-1] == "") != (position in failed):
                raise SoundjudgeError(
                    f"{self.out} row {number} ({row[0]}) is not what the table has there: "
                    "resume with the table of the first run, or start without --resume"
                )
            if row[-1]:
                self.last_score = (position, _number(row[-1], self.out, number))
            position += 1
        self.done = position
        self.failures = {row: why for row, why in failed.items() if row < position}
        return rows

    def _row(self, index: int) -> list[str]:
        return self.pairs.rows[index] if index < len(self.pairs.rows) else []

    def _earlier_failures(self) -> dict[int, str]:
        rows = _complete_rows(self.report)[1:] if self.report.exists() else []
        return {int(row[0]) - 1: row[-1] for row in rows}


def _number(cell: str, path: Path, row: int) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise SoundjudgeError(
            f"{path} row {row}: {cell!r} is no score, so the file cannot be resumed"
        )
    return score


def _complete_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV whose last line may have been cut off by a kill."""
    content = path.read_bytes()
    text = content[: content.rfind(b"\n") + 1].decode("utf-8")
    rows = list(csv.reader(text.splitlines(keepends=True)))
    if rows and len(rows[-1]) != len(rows[0]):
        rows.pop()  # cut off inside a quoted line break
    return rows


def _rewrite(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    with (
        artifacts.atomic_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def _append(path: Path, rows: list[list[str]]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
