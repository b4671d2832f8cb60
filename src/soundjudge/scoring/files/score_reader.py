"""Reads the scores that an earlier run wrote, even if it was killed or a spreadsheet saved them."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from soundjudge.data.user_files.user_tables import NUMBER
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.files import pair_table
from soundjudge.scoring.files.pair_table import PairTable

SEPARATORS = ",;\t"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What an output holds of a table."""

    added: list[str] = field(default_factory=list)
    "its columns behind the table's"
    cells: dict[int, list[str]] = field(default_factory=dict)
    "of those columns, for each row of the table that has a score"
    done: int = 0
    "rows of the table that were passed"


def read_scores(pairs: PairTable, out: Path) -> Written:
    """What an earlier run wrote. Every row of `out` must be a row of the table, in its order.

    Raises SoundjudgeError.
    """
    header, rows, is_spreadsheet = _complete_rows(pairs, out)
    added = header[len(pairs.columns) :]
    if header[: len(pairs.columns)] != pairs.columns or added[:1] != [PREDICTION]:
        raise SoundjudgeError(
            f"{out} has other columns than the table and {PREDICTION}: it is no output of this "
            "table; choose another output"
        )
    expected = [_normal_row(row) for row in pairs.rows]
    scores: dict[int, list[str]] = {}
    position = 0
    for number, row in enumerate(rows, start=1):
        cells, values = _normal_row(row[: len(pairs.columns)]), row[len(pairs.columns) :]
        while position < len(expected) and expected[position] != cells:
            position += 1  # left out: it had no score
        if position == len(expected):
            raise SoundjudgeError(
                f"{out} row {number} ({row[0]}) is not what the table has there: resume with the "
                "table of the first run, or choose another output"
            )
        if values[0].strip():
            cell = values[0].replace(",", ".") if is_spreadsheet else values[0]
            scores[position] = [_score_text(cell, out, number), *map(_added_cell, values[1:])]
        position += 1
    return Written(added=added, cells=scores, done=position)


def _complete_rows(pairs: PairTable, path: Path) -> tuple[list[str], list[list[str]], bool]:
    """Header and rows, and whether a spreadsheet may have written numbers with commas."""
    if path.suffix.lower() == ".parquet":
        table = pair_table.read_parquet(path)
        return table.columns, table.rows, False
    content = path.read_bytes()
    try:
        text = content[: content.rfind(b"\n") + 1].decode("utf-8-sig")
        if path.suffix.lower() == ".jsonl":
            return *_json_rows(pairs, text, path), False
        if not text:
            return [*pairs.columns, PREDICTION], [], False  # killed before the header was whole
        separator, rows = _delimited_rows(pairs.columns, text)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SoundjudgeError(
            f"{path} is no CSV in UTF-8: save it so, or choose another output"
        ) from error
    header = rows[0]
    if len(rows[-1]) != len(header):
        rows.pop()  # cut off inside a quoted line break
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            raise SoundjudgeError(
                f"{path} row {number} has {len(row)} fields where {len(header)} are needed: "
                "choose another output"
            )
    return header, rows[1:], separator == ";"


def _delimited_rows(columns: Sequence[str], text: str) -> tuple[str, list[list[str]]]:
    """The separator under which the columns are the table's, and all rows of a text."""
    for separator in SEPARATORS:
        # No splitlines: it also splits at U+2028 and others, which texts may have.
        rows = [r for r in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if r]
        if rows and rows[0][: len(columns) + 1] == [*columns, PREDICTION]:
            break
    return separator, rows or [[]]


def _json_rows(pairs: PairTable, text: str, path: Path) -> tuple[list[str], list[list[str]]]:
    """Of the lines of a JSON Lines output."""
    lines = [line for line in text.split("\n") if line.strip()]
    numbered = enumerate(lines, start=1)
    listed = [pair_table.json_object(line, f"{path}, line {n}") for n, line in numbered]
    keys = listed[0] if listed else [PREDICTION]
    added = [name for name in keys if name not in pairs.columns]
    header = [*pairs.columns, *added]
    return header, [[cells.get(name, "") for name in header] for cells in listed]


def _normal_row(row: list[str]) -> list[str]:
    return [_normal_cell(cell) for cell in row]


def _normal_cell(cell: str) -> str:
    """What a spreadsheet keeps of a cell: it changes line ends, and 7.50 to 7.5."""
    if NUMBER.fullmatch(cell) and len(cell) < 16:
        return repr(float(cell))
    return cell.replace("\r\n", "\n").replace("\r", "\n")


def _score_text(cell: str, path: Path, row: int) -> str:
    """A score as it is written: 4 decimals."""
    score = float(cell) if NUMBER.fullmatch(cell.strip()) else math.nan
    if not math.isfinite(score):
        raise SoundjudgeError(f"{path} row {row}: {cell!r} is no score: empty that cell")
    return f"{score:.4f}"


def _added_cell(cell: str) -> str:
    return f"{float(cell):.4f}" if NUMBER.fullmatch(cell) else cell
