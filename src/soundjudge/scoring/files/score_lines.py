"""Rows of a table of pairs with their scores, as lines of CSV, TSV or JSON Lines, or as Parquet."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.user_tables import NUMBERS
from soundjudge.runtime import artifacts
from soundjudge.scoring.files.added_columns import TEXT_COLUMNS
from soundjudge.scoring.files.pair_table import PairTable

if TYPE_CHECKING:
    import pyarrow as pa


class ScoreLines:
    """The lines of one output; `added` are the columns behind the table's own."""

    def __init__(self, pairs: PairTable, added: Sequence[str], suffix: str) -> None:
        self.pairs, self.added, self.suffix = pairs, list(added), suffix

    def header(self) -> str:
        """The first line; none in JSON Lines."""
        if self.suffix == ".jsonl":
            return ""
        return self._delimited([*self.pairs.columns, *self.added])

    def line(self, row: int, cells: Sequence[str] | None) -> str:
        """A row with the cells of the added columns, empty ones for None."""
        cells = cells or [""] * len(self.added)
        if self.suffix == ".jsonl":
            return self._record(row, cells)
        return self._delimited([*self.pairs.rows[row], *cells])

    def _delimited(self, cells: list[str]) -> str:
        text = io.StringIO(newline="")
        delimited.write_rows(text, [cells], "\t" if self.suffix == ".tsv" else ",")
        return text.getvalue()

    def _record(self, row: int, cells: Sequence[str]) -> str:
        """The object as it was written, with more keys at its end."""
        if self.pairs.records is not None:
            start = _open(self.pairs.records[row])
        else:
            names = zip(self.pairs.columns, self.pairs.rows[row], strict=True)
            start = _open(json.dumps(dict(names), ensure_ascii=False))
        added = (f"{json.dumps(n)}: {_json(c)}" for n, c in zip(self.added, cells, strict=True))
        return f"{start}, {', '.join(added)}}}\n"


def _open(record: str) -> str:
    """An object without its last brace."""
    return record[:-1].rstrip()


def _json(cell: str) -> str:
    if not cell:
        return "null"
    is_number = NUMBERS["float"].fullmatch(cell)
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
