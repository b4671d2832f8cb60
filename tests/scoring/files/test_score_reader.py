"""An output that a spreadsheet saved is resumed, and none of its numbers becomes a text."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_pairs
from tiny_pairs import LengthJudge, read_cells

from soundjudge.scoring.files.listed_pairs import list_pairs
from soundjudge.scoring.files.pair_reports import Details
from soundjudge.scoring.files.score_table import score_table

Rows = list[list[str]]
DETAILS = Details(members=True, spread=True, interval=True, windows=True, flags=True)


def run(table: Path, sounds: Path, out: Path, *, resume: bool) -> tuple[int, bytes]:
    """The number of rows that were there, and the output."""
    summary = score_table(
        LengthJudge, list_pairs(table, sounds), out, details=DETAILS, on_error="fail",
        resume=resume, batch_size=2, progress=lambda done, total: None,
    )  # fmt: skip
    return summary.resumed, out.read_bytes()


def same(rows: Rows) -> Rows:
    return rows


def with_commas(rows: Rows) -> Rows:
    number = re.compile(r"-?[0-9]+\.[0-9]+")
    return [[c.replace(".", ",") if number.fullmatch(c) else c for c in row] for row in rows]


def with_empty_columns(rows: Rows) -> Rows:
    return [[*row, "", ""] for row in rows]


def with_empty_rows(rows: Rows) -> Rows:
    empty = [""] * len(rows[0])
    return [rows[0], empty, *rows[1:], empty, empty]


@pytest.mark.parametrize(
    ("dialect", "change", "first_line"),
    [
        ({"delimiter": ";"}, with_commas, ""),
        ({"delimiter": ";"}, with_commas, "sep=;\r\n"),
        ({"delimiter": ";"}, same, ""),
        ({"lineterminator": "\r"}, same, ""),
        ({}, with_empty_columns, ""),
        ({}, with_empty_rows, ""),
        ({"delimiter": ";"}, lambda rows: with_empty_columns(with_empty_rows(rows)), ""),
    ],
)
def test_a_spreadsheet_between_two_runs_changes_no_byte(
    tmp_path: Path, dialect: dict[str, str], change: Callable[[Rows], Rows], first_line: str
) -> None:
    sounds = tiny_pairs.write_sounds(tmp_path / "sounds")
    table, out = tmp_path / "t.csv", tmp_path / "out.csv"
    rows = "".join(f'{name}.wav,"x, {name}",{len(name)}.25\n' for name in "abcde")
    table.write_text(f"path,text,seconds\n{rows}")
    _, whole = run(table, sounds, tmp_path / "whole.csv", resume=False)
    with out.open("w", newline="", encoding="utf-8") as file:
        file.write(first_line)
        csv.writer(file, **dialect).writerows(change(read_cells(tmp_path / "whole.csv")[:4]))
    assert run(table, sounds, out, resume=True) == (3, whole)
