"""Reads the scores that an earlier run wrote, even if it was killed or a spreadsheet saved them."""

import csv
import io
import math
from pathlib import Path

from soundjudge.data.user_files.user_tables import NUMBERS
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.files.score_writer import PairTable

SEPARATORS = ",;\t"


def read_scores(pairs: PairTable, out: Path) -> tuple[dict[int, float], int]:
    """The score of each row of the table that has one in `out`, and how many rows were passed.

    Every row of `out` must be a row of the table, in its order. Raises SoundjudgeError.
    """
    separator, rows = _complete_rows(out, [*pairs.columns, PREDICTION])
    expected = [_normal_row(row) for row in pairs.rows]
    scores: dict[int, float] = {}
    position = 0
    for number, row in enumerate(rows, start=1):
        cells = _normal_row(row[:-1])
        while position < len(expected) and expected[position] != cells:
            position += 1  # left out: it had no score
        if position == len(expected):
            raise SoundjudgeError(
                f"{out} row {number} ({row[0]}) is not what the table has there: resume with the "
                "table of the first run, or choose another output"
            )
        if row[-1].strip():
            cell = row[-1].replace(",", ".") if separator == ";" else row[-1]
            scores[position] = _parse_score(cell, out, number)
        position += 1
    return scores, position


def _complete_rows(path: Path, columns: list[str]) -> tuple[str, list[list[str]]]:
    """The separator and the rows of a CSV whose last line may have been cut off by a kill."""
    content = path.read_bytes()
    try:
        text = content[: content.rfind(b"\n") + 1].decode("utf-8-sig")
        if not text:
            return ",", []  # killed before the header was whole
        for separator in SEPARATORS:
            # No splitlines: it also splits at U+2028 and others, which texts may have.
            rows = [r for r in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if r]
            if rows[:1] == [columns]:
                break
    except (UnicodeDecodeError, csv.Error) as error:
        raise SoundjudgeError(f"{path} is no CSV in UTF-8: choose another output") from error
    if rows[:1] != [columns]:
        raise SoundjudgeError(
            f"{path} has other columns than the table and {PREDICTION}: it is no output of this "
            "table; choose another output"
        )
    if len(rows[-1]) != len(columns):
        rows.pop()  # cut off inside a quoted line break
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(columns):
            raise SoundjudgeError(
                f"{path} row {number} has {len(row)} fields where {len(columns)} are needed: "
                "choose another output"
            )
    return separator, rows[1:]


def _normal_row(row: list[str]) -> list[str]:
    return [_normal_cell(cell) for cell in row]


def _normal_cell(cell: str) -> str:
    """What a spreadsheet keeps of a cell: it changes line ends, and 7.50 to 7.5."""
    if NUMBERS["float"].fullmatch(cell) and len(cell) < 16:
        return repr(float(cell))
    return cell.replace("\r\n", "\n").replace("\r", "\n")


def _parse_score(cell: str, path: Path, row: int) -> float:
    score = float(cell) if NUMBERS["float"].fullmatch(cell.strip()) else math.nan
    if not math.isfinite(score):
        raise SoundjudgeError(f"{path} row {row}: {cell!r} is no score: empty that cell")
    return score
