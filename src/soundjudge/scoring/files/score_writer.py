"""Writes the scores and the errors of a table row by row, so that a killed run can be resumed.

`OUT` holds the rows of the table with further columns, in the table's order; a row without a score
has empty cells or is left out. `OUT.errors.csv` tells why, and is only written: row (1 is the first
below the header), wav_file_name, text, reason. Parquet cannot be written row by row: its rows stand
in `OUT.partial.csv` until the run ends.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.user_tables import NUMBER
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.matching import PAIR
from soundjudge.scoring.files.pair_reports import TEXT_COLUMNS
from soundjudge.scoring.files.pair_table import PairTable

if TYPE_CHECKING:
    import pyarrow as pa

ERROR_COLUMNS = ["row", *PAIR, "reason"]
# Rows that are scored late are inserted by writing OUT anew: when they are this share of it.
INSERTED_SHARE = 0.05
Cells = Sequence[str]  # of the added columns


def errors_path(out: Path) -> Path:
    """Where the rows without a score are listed: OUT.csv.errors.csv beside OUT.csv."""
    return out.with_name(out.name + ".errors.csv")


def is_report(path: Path) -> bool:
    """Whether a file begins as what `errors_path` names."""
    start = (",".join(ERROR_COLUMNS) + "\n").encode()
    with path.open("rb") as file:
        return file.read(len(start)) == start


def working_path(out: Path) -> Path:
    """The file that a run writes row by row."""
    return out.with_name(out.name + ".partial.csv") if out.suffix.lower() == ".parquet" else out


class ScoreWriter:
    """All files of one run: the first `done` rows of the table have `scores` or none.

    `blank` writes a row without a score with empty cells; otherwise it is left out. Nothing is
    written before there is something to write.
    """

    def __init__(
        self,
        pairs: PairTable,
        added: Sequence[str],
        out: Path,
        *,
        blank: bool,
        scores: Mapping[int, Cells],
        done: int,
    ) -> None:
        self.pairs, self.out, self.report, self.done = pairs, out, errors_path(out), done
        self.scores = dict(scores)
        self.failures: dict[int, str] = {}
        self._path = working_path(out)
        self._suffix, self._added = self._path.suffix.lower(), list(added)
        self._delimiter = "\t" if self._suffix == ".tsv" else ","
        self._blank = blank
        self._unsaved = 0  # scores that are not in OUT
        self._is_current = False  # whether OUT holds the first `done` rows, all but the unsaved

    def append(self, stop: int, scores: Mapping[int, Cells]) -> None:
        """Writes the next rows, up to `stop`."""
        if not self._is_current or self._unsaved:
            self._rewrite()
        start, self.done = self.done, stop
        self.scores |= scores
        with self._path.open("a", newline="", encoding="utf-8") as file:
            file.write(self._text(start))
            file.flush()
            os.fsync(file.fileno())

    def insert(self, scores: Mapping[int, Cells]) -> None:
        """Takes scores of rows before `done`."""
        self.scores |= scores
        self._unsaved += len(scores)
        if self._unsaved > INSERTED_SHARE * self.done:
            self._rewrite()

    def report_failures(self, reasons: Mapping[int, str]) -> None:
        """Lists rows in the report."""
        rows = [
            [str(self.pairs.first + row + 1), *self.pairs.pair(row), " ".join(reason.split())]
            for row, reason in sorted(reasons.items())
        ]
        with self.report.open("a" if self.failures else "w", newline="", encoding="utf-8") as file:
            delimited.write_rows(file, rows if self.failures else [ERROR_COLUMNS, *rows])
        self.failures |= reasons

    def save(self) -> None:
        """Writes the scores that are not in OUT yet."""
        if self._unsaved:
            self._rewrite()

    def finish(self) -> None:
        """Writes what is not written yet, and removes the report of a run without failures."""
        if not self._is_current or self._unsaved:
            self._rewrite()
        if self._path != self.out:
            write_parquet(self.pairs, self._added, self.scores, self.out, blank=self._blank)
            self._path.unlink()
        if not self.failures:
            self.report.unlink(missing_ok=True)

    def _rewrite(self) -> None:
        with (
            artifacts.atomic_file(self._path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            file.write(self._header() + self._text(0))
        self._is_current, self._unsaved = True, 0

    def _text(self, start: int) -> str:
        """The rows from `start` on, with the cells of the added columns, empty ones for none."""
        rows = [row for row in range(start, self.done) if self._blank or row in self.scores]
        cells = {row: self.scores.get(row) or [""] * len(self._added) for row in rows}
        if self._suffix == ".jsonl":
            return "".join(self._record(row, cells[row]) for row in rows)
        whole = ([*self.pairs.rows[row], *cells[row]] for row in rows)
        return delimited.rows_text(whole, self._delimiter)

    def _header(self) -> str:
        """The first line; none in JSON Lines."""
        if self._suffix == ".jsonl":
            return ""
        return delimited.rows_text([[*self.pairs.columns, *self._added]], self._delimiter)

    def _record(self, row: int, cells: Sequence[str]) -> str:
        """The object as it was written, with more keys at its end."""
        if self.pairs.records is not None:
            record = self.pairs.records[row]
        else:
            names = zip(self.pairs.columns, self.pairs.rows[row], strict=True)
            record = json.dumps(dict(names), ensure_ascii=False)
        added = (f"{json.dumps(n)}: {_json(c)}" for n, c in zip(self._added, cells, strict=True))
        return f"{record[:-1].rstrip()}, {', '.join(added)}}}\n"


def _json(cell: str) -> str:
    if not cell:
        return "null"
    is_number = NUMBER.fullmatch(cell)
    return cell if is_number else json.dumps(cell, ensure_ascii=False)


def write_parquet(
    pairs: PairTable,
    added: Sequence[str],
    cells: Mapping[int, Sequence[str]],
    out: Path,
    *,
    blank: bool,
) -> None:
    """The table with the added columns; rows without cells stay empty (`blank`) or are left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pairs.arrow
    if table is None:
        columns = {name: pa.array(pairs.column(name), pa.string()) for name in pairs.columns}
        table = pa.table(columns)
    for position, name in enumerate(added):
        values = [cells[row][position] if row in cells else "" for row in range(len(pairs.rows))]
        table = table.append_column(name, _arrow(values, is_text=name in TEXT_COLUMNS))
    if not blank:
        table = table.filter(pa.array([row in cells for row in range(len(pairs.rows))]))
    with artifacts.atomic_file(out) as temporary:
        pq.write_table(table, temporary)


def _arrow(values: list[str], *, is_text: bool) -> "pa.Array":
    import pyarrow as pa

    if is_text:
        return pa.array([value or None for value in values], pa.string())
    return pa.array([float(value) if value else None for value in values], pa.float64())
