"""CSV text to rows of strings, strictly: every error names the file, the place in it and a remedy.

UTF-8 (a byte order mark is fine), comma, double quotes, LF or CRLF. Nothing is guessed: "NA" and
"00000" stay what they are.
"""

import csv
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain, compress
from pathlib import Path
from typing import IO
from soundjudge.errors import SoundjudgeError




def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows below it, each as long as the header; blank lines are left out."""
    rows = iter_rows(path)
    names = _checked(next(rows, None), path)
    return names, list(check_width(rows, len(names), path))


def read_header(path: Path) -> list[str]:
    """The names of the columns; no name stands twice."""
    with closing(iter_rows(path)) as rows:
        return _checked(next(rows, None), path)


def _checked(names: list[str] | None, path: Path) -> list[str]:
    if names is None:
        raise SoundjudgeError(f"{path} is empty: its first line must name the columns")
    if len(set(names)) != len(names):
        raise SoundjudgeError(
            f"{path}: a column name stands twice in {', '.join(names)}: rename or remove one"
        )
    return names


def check_width(rows: Iterator[list[str]], width: int, path: Path) -> Iterator[list[str]]:
    """The same rows, each checked to have `width` fields."""
    for row, fields in enumerate(rows, start=1):
        if len(fields) != width:
            raise SoundjudgeError(
                f"{path}, row {row}: {len(fields)} fields where {width} are needed;"
                " a text with a comma needs double quotes"
            )
        yield fields


def iter_rows(path: Path) -> Generator[list[str], None, None]:
    """Every line that is not blank, as fields, one at a time."""
    if path.is_dir():
        raise SoundjudgeError(f"{path} is a folder: name a file")
    try:
        with path.open("rb") as file:
            reader = csv.reader(_lines(file, path), strict=True)
            try:
                yield from (fields for fields in reader if fields)
            except csv.Error as error:
                raise SoundjudgeError(f"{path}, line {reader.line_num}: {_reason(error)}") from error
    except OSError as error:
        raise SoundjudgeError(f"{path} cannot be read: {error.strerror}") from error


def copy_rows(path: Path, out: IO[str], kept: Iterable[bool]) -> None:
    """Writes the header of `path` and those of its rows that are `kept`, with LF line ends."""
    plain = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    with closing(iter_rows(path)) as rows:
        for row in chain([next(rows)], compress(rows, kept)):
            # The plain writer leaves a lone carriage return unquoted, which no reader takes.
            (quoted if "\r" in "".join(row) else plain).writerow(row)


def _reason(error: csv.Error) -> str:
    if str(error).startswith("new-line"):
        return "a carriage return stands alone: save the file with LF or CRLF line ends"
    return f"{error}: check the double quotes up to here"


def _lines(file: IO[bytes], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise SoundjudgeError(
                f"{path}, line {number} is not UTF-8: save the file as UTF-8"
            ) from error
