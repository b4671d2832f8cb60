"""Tables of pairs as people have them: CSV, TSV, JSON Lines, Parquet, Kaldi's files, two folders.

Every cell is text, as it was written; what a format knows beyond that is kept for its own output.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from soundjudge.data.user_files import delimited, file_kinds
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.evaluation.reference_tables import PREDICTION
from soundjudge.scoring.files import pair_folders

if TYPE_CHECKING:
    import pyarrow as pa

STDIN = Path("-")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True, kw_only=True)
class PairTable:
    """Rows of cells, of which two columns are the pairs'."""

    where: str  # in messages
    suffix: str  # of its format, one of SUFFIXES
    columns: list[str]
    rows: list[list[str]]
    records: list[str] | None = None  # of JSON Lines: the line of each row
    arrow: "pa.Table | None" = None  # of Parquet
    audio: str = "wav_file_name"
    text: str = "text"
    first: int = 0  # index of its first row in the whole table, of which this is a shard

    def pair(self, index: int) -> list[str]:
        """Name of the sound and text of a row, counted from 0."""
        return [self.rows[index][self.columns.index(name)] for name in (self.audio, self.text)]

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        position = self.columns.index(name)
        return [row[position] for row in self.rows]

    def check_cells(self, name: str) -> None:
        """SoundjudgeError where a column of JSON Lines or Parquet holds lists or records."""
        nested = None
        if self.arrow is not None:
            kind = self.arrow.schema.field(name).type
            nested = str(kind) if kind.num_fields or "binary" in str(kind) else None
        for row, record in enumerate(self.records or ()):
            if isinstance(json.loads(record).get(name), list | dict):
                nested = f"{self.column(name)[row][:40]} in row {self.first + row + 1}"
                break
        if nested:
            raise SoundjudgeError(
                f"{self.where}: the column {name!r} holds {nested}: give one text, or the name of "
                "one file, per row"
            )

    def shard(self, number: int, count: int) -> "PairTable":
        """The rows of one of `count` consecutive shares; `number` counts from 1."""
        start, stop = (len(self.rows) * n // count for n in (number - 1, number))
        return replace(
            self,
            rows=self.rows[start:stop],
            records=None if self.records is None else self.records[start:stop],
            arrow=None if self.arrow is None else self.arrow.slice(start, stop - start),
            first=start,
        )


def read_pair_table(path: Path) -> PairTable:
    """The table at `path`, of standard input for "-", or of a folder (`pair_folders`).

    Raises SoundjudgeError for what is no table, has no rows, or has scores already.
    """
    if path == STDIN:
        table = _read_stdin()
    elif path.is_dir():
        columns, rows = pair_folders.read_rows(path)
        table = PairTable(where=str(path), suffix=".csv", columns=columns, rows=rows)
    else:
        table = _read_file(path)
    if PREDICTION in table.columns:
        raise SoundjudgeError(
            f"{table.where} has a column {PREDICTION!r} already: drop or rename it"
        )
    if not table.rows:
        raise SoundjudgeError(f"{table.where} has no rows")
    return table


def _read_file(path: Path) -> PairTable:
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist: name a table of pairs")
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return _read_json_lines(path)
    if suffix == ".parquet":
        return read_parquet(path)
    if suffix not in SUFFIXES:
        file_kinds.check_text(path)
        hints = {
            ".txt": ": a line of text does not say which sound it is of",
            ".scp": ": name the folder of wav.scp and text",
        }
        kinds = ", ".join(SUFFIXES)
        raise SoundjudgeError(f"{path}: a table of pairs ends in {kinds}{hints.get(suffix, '')}")
    columns, rows = delimited.read_rows(path)
    return PairTable(where=str(path), suffix=suffix, columns=columns, rows=rows)


def _read_stdin() -> PairTable:
    """By its first line: an object of JSON, or a header with tabs or commas."""
    content = sys.stdin.buffer.read()
    first = content.lstrip().split(b"\n", 1)[0]
    suffix = ".jsonl" if first.startswith(b"{") else ".tsv" if b"\t" in first else ".csv"
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"stdin{suffix}"
        path.write_bytes(content)
        try:
            return replace(_read_file(path), where="standard input")
        except SoundjudgeError as error:
            message = str(error).replace(str(path), "standard input")
            raise SoundjudgeError(message) from error


def _read_json_lines(path: Path) -> PairTable:
    """Rows of objects, whose keys may differ; a cell that is no text is its JSON."""
    file_kinds.check_text(path)
    lines = pair_folders.read_text(path).split("\n")
    numbered = [(n, line.strip()) for n, line in enumerate(lines, start=1) if line.strip()]
    objects = [json_object(line, f"{path}, line {number}") for number, line in numbered]
    columns = list(dict.fromkeys(name for cells in objects for name in cells))
    rows = [[cells.get(name, "") for name in columns] for cells in objects]
    records = [line for _, line in numbered]
    return PairTable(where=str(path), suffix=".jsonl", columns=columns, rows=rows, records=records)


def json_object(line: str, where: str) -> dict[str, str]:
    """The values of an object as text. Raises SoundjudgeError for what is none."""
    try:
        values = json.loads(line, object_pairs_hook=lambda pairs: _distinct(pairs, where))
    except (ValueError, RecursionError) as error:  # the latter for lists within lists
        raise SoundjudgeError(f"{where} is no JSON: {error}") from error
    if not isinstance(values, dict) or not values:
        raise SoundjudgeError(f"{where} is no object with keys: write one per line")
    return {name: cell_text(value) for name, value in values.items()}


def _distinct(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        name = next(name for name in values if [key for key, _ in pairs].count(name) > 1)
        raise SoundjudgeError(f"{where} has the key {name!r} twice: remove one")
    return values


def cell_text(value: Any) -> str:  # noqa: ANN401
    """A cell of any type as text: nothing for null, JSON for lists and objects."""
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=repr)
    return str(value)


def read_parquet(path: Path) -> PairTable:
    """The rows of a Parquet file as text, and itself."""
    from soundjudge.data.user_files import parquet_files  # pyarrow takes long to import

    arrow = parquet_files.read_parquet(path)
    return PairTable(
        where=str(path),
        suffix=".parquet",
        columns=list(arrow.column_names),
        rows=arrow_cells(arrow),
        arrow=arrow,
    )


def arrow_cells(arrow: "pa.Table") -> list[list[str]]:
    """The rows of a table of Arrow as text."""
    columns = [[cell_text(value) for value in column.to_pylist()] for column in arrow.columns]
    return [list(row) for row in zip(*columns, strict=True)]
