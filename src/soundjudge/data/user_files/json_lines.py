"""JSON Lines as rows of strings: one object per line, its values as they are written."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from soundjudge.errors import SoundjudgeError

WORDS = {None: "", True: "true", False: "false"}


def iter_rows(lines: Iterable[str], path: Path) -> Iterator[list[str]]:
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
    except ValueError as error:
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
