"""CSV or JSON Lines to rows of strings, strictly: every error names file, line and remedy.

UTF-8 (a byte order mark is fine), comma (a tab in .tsv), double quotes, LF or CRLF. Nothing is
converted: "NA" and "00000" stay as they are. A .jsonl file is read as if it were such a table.
"""

import csv
import io
import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain, compress
from pathlib import Path
from typing import IO

from soundjudge.data.user_files import file_kinds
from soundjudge.errors import SoundjudgeError

SUFFIXES = (".csv", ".tsv", ".jsonl")
WORDS = {None: "", True: "true", False: "false"}


def read_rows(path: Path, *, join_lines: bool = False) -> tuple[list[str], list[list[str]]]:
    """The header and the rows below it, each as long as the header, without blank lines.

    `join_lines`: the last column holds texts with line breaks that no quotes enclose.
    """
    rows: Iterator[list[str]] = iter_rows(path)
    header = _check_header(next(rows, None), path)
    rows = _join_lines(rows, len(header)) if join_lines else rows
    return header, list(check_width(rows, len(header), path))


def read_header(path: Path) -> list[str]:
    """The names of the columns, all different."""
    with closing(iter_rows(path)) as rows:
        return _check_header(next(rows, None), path)


def _check_header(header: list[str] | None, path: Path) -> list[str]:
    if header is None:
        raise SoundjudgeError(f"{path} is empty: its first line must name the columns")
    if header[0].startswith("sep="):  # the separator, for a spreadsheet
        raise SoundjudgeError(f"{path}: its first line is {header[0]!r}: remove that line")
    if len(set(header)) != len(header):
        raise SoundjudgeError(
            f"{path}: a column name stands twice in {', '.join(header)}: rename or remove one"
        )
    return header


def _join_lines(rows: Iterable[list[str]], width: int) -> Iterator[list[str]]:
    """Rows whose last text goes on in shorter lines, which do not begin with a number."""
    row: list[str] = []
    for fields in rows:
        if len(row) == width and len(fields) < width and not fields[0].isdecimal():
            row[-1] = f"{row[-1].rstrip()} {','.join(fields).lstrip()}"
            continue
        if row:
            yield row
        row = fields
    if row:
        yield row


def check_width(rows: Iterator[list[str]], width: int, path: Path) -> Iterator[list[str]]:
    """The same rows, each checked to have `width` fields."""
    for row, fields in enumerate(rows, start=1):
        if len(fields) != width and width == 1:
            raise SoundjudgeError(
                f"{path}: its first line names one column, and row {row} has {len(fields)} fields: "
                f"let the first line name all columns, separate them by {separators(path)}, and "
                "write numbers like 7.5"
            )
        if len(fields) != width:
            raise SoundjudgeError(
                f"{path}, row {row}: {len(fields)} fields where {width} are needed;"
                " a text with a comma needs double quotes"
            )
        yield fields


def iter_rows(path: Path) -> Generator[list[str], None, None]:
    """The fields of every line that is not blank, line by line."""
    if path.is_dir():
        raise SoundjudgeError(f"{path} is a folder: name a file")
    try:
        with path.open("rb") as file:
            file_kinds.check_start(file.peek(file_kinds.FIRST)[: file_kinds.FIRST], path)
            lines = _lines(file, path)
            if path.suffix.lower() == ".jsonl":
                yield from json_rows(lines, path)
                return
            reader = csv.reader(lines, strict=True, delimiter=separator(path))
            try:
                yield from (fields for fields in reader if fields)
            except csv.Error as error:
                line = f"{path}, line {reader.line_num}"
                raise SoundjudgeError(f"{line}: {_reason(error)}") from error
    except OSError as error:
        raise SoundjudgeError(f"{path} cannot be read: {error.strerror}") from error


def separator(path: Path) -> str:
    """What stands between two fields of a file, by its suffix."""
    return "\t" if path.suffix.lower() == ".tsv" else ","


def separators(path: Path) -> str:
    """The word for what `separator` returns."""
    return "tabs" if separator(path) == "\t" else "commas"


def copy_rows(path: Path, out: Path, kept: Iterable[bool]) -> None:
    """Writes to the file `out` the header of `path` and those of its rows that are `kept`."""
    with closing(iter_rows(path)) as rows, out.open("w", newline="", encoding="utf-8") as file:
        write_rows(file, chain([next(rows)], compress(rows, kept)), separator(out))


def write_rows(file: IO[str], rows: Iterable[list[str]], delimiter: str = ",") -> None:
    """Writes rows that `iter_rows` reads back as they were, with LF line ends.

    The file must be open with newline="".
    """
    plain = csv.writer(file, lineterminator="\n", delimiter=delimiter)
    quoted = csv.writer(file, lineterminator="\n", delimiter=delimiter, quoting=csv.QUOTE_ALL)
    for row in rows:
        # The plain writer leaves a lone carriage return unquoted, which no reader accepts, and the
        # first cell of a file may begin with what looks like a byte order mark.
        is_plain = "\r" not in "".join(row) and not row[0].startswith("\ufeff")
        (plain if is_plain else quoted).writerow(row)


def rows_text(rows: Iterable[list[str]], delimiter: str = ",") -> str:
    """What `write_rows` writes."""
    text = io.StringIO(newline="")
    write_rows(text, rows, delimiter)
    return text.getvalue()


def _reason(error: csv.Error) -> str:
    if str(error).startswith("new-line"):
        return "a carriage return stands alone: save the file with LF or CRLF line ends"
    return f"{error}: check the double quotes up to here"


def _lines(file: IO[bytes], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            message = f"{path}, line {number} is not UTF-8: save the file as UTF-8"
            raise SoundjudgeError(message) from error
        if "\0" in text:
            raise SoundjudgeError(f"{path}, line {number} has a NUL character: remove it")
        yield text


def json_rows(lines: Iterable[str], path: Path) -> Iterator[list[str]]:
    """The keys of the first object, then the values of each; numbers keep their digits."""
    header: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = _read_object(line, f"{path}, line {number}")
        if not header:
            header = list(record)
            yield header
        if set(record) != set(header):
            names = ", ".join(sorted(set(record) ^ set(header)))
            raise SoundjudgeError(
                f"{path}, line {number} has not the keys of the first line ({names}): "
                "give every line the same keys"
            )
        yield [record[name] for name in header]


def _read_object(line: str, where: str) -> dict[str, str]:
    try:
        pairs = json.loads(
            line, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=list
        )
    except (ValueError, RecursionError) as error:  # the latter for lists within lists
        raise SoundjudgeError(f"{where} is no JSON: {error}") from error
    is_object = isinstance(pairs, list) and all(isinstance(pair, tuple) for pair in pairs)
    if not is_object or len(dict(pairs)) != len(pairs) or not pairs:
        raise SoundjudgeError(f"{where} is no object with different keys: write one per line")
    record = {name: WORDS.get(value, value) for name, value in pairs if not _is_nested(value)}
    if len(record) < len(pairs):
        name = next(name for name, value in pairs if _is_nested(value))
        raise SoundjudgeError(f"{where}: {name} is a list or an object: write a text or a number")
    for name, value in record.items():
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise SoundjudgeError(f"{where}: {name} has a NUL or half a character: remove it")
    return record


def _is_nested(value: object) -> bool:
    return isinstance(value, list)
