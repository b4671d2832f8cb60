"""CSV text to columns of text: as strict as `delimited`, at the speed of Arrow's parser.

Arrow parses wherever it is certain to read what the strict reader would; for any other file, every
bad one among them, the strict reader itself does, and says what is wrong.

B = bytes, N = rows.
"""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from soundjudge.data import delimited
from soundjudge.data.delimited import TableError
from soundjudge.data.schema import Kind

ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
BOOLS = {"true": True, "false": False}
LARGEST = 2**63 - 1
WORDS = {
    "int": "a whole number: write it like 7",
    "float": "a number: write it like 7.5, or remove the row",
    "bool": "true or false: write one of them",
}

COMMA, QUOTE, FEED, RETURN = (ord(sign) for sign in ',"\n\r')
BLOCK = 1 << 24  # bytes looked at together


def read(path: Path) -> pa.Table:
    """Every column as text (N,), in order; "" is an empty cell. Raises as `delimited.read` does."""
    header = delimited.header(path)
    table = _parsed(path, header) if _unambiguous(path) else None
    return _walked(path) if table is None else table


def values(
    texts: pa.ChunkedArray, kind: Kind, *, nullable: bool, where: str, name: str
) -> pa.ChunkedArray:
    """The cells of a column; each distinct text of a number is read once.

    An empty cell is null in a text or a `nullable` column. TableError names the first wrong cell.
    """
    if kind == "str":
        empty = pc.equal(texts, "")
        nothing = pa.scalar(None, pa.string())
        return pc.if_else(empty, nothing, texts) if pc.any(empty).as_py() else texts
    chunks = texts.dictionary_encode().chunks  # (N,) in all, with one dictionary
    distinct = chunks[0].dictionary if chunks else pa.array([], pa.string())
    cells = pa.array([_value(text, kind) for text in distinct.to_pylist()], ARROW[kind])
    wrong = pc.and_(cells.is_null(), pc.not_equal(distinct, "")) if nullable else cells.is_null()
    if pc.any(wrong).as_py():
        codes = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])  # (N,)
        row = int(wrong.to_numpy(zero_copy_only=False)[codes].argmax())
        text = distinct[int(codes[row])].as_py()
        raise TableError(f"{where}, row {row + 1}: {name} {text!r} is not {WORDS[kind]}")
    return pa.chunked_array([cells.take(chunk.indices) for chunk in chunks], ARROW[kind])


def _value(text: str, kind: Kind) -> object:
    """What a cell says, or None if it is not of that kind."""
    if kind == "bool":
        return BOOLS.get(text.strip().lower())
    try:
        value = int(text) if kind == "int" else float(text)
    except ValueError:
        return None
    return value if kind == "float" or abs(value) <= LARGEST else None


def _walked(path: Path) -> pa.Table:
    header, rows = delimited.read(path)
    cells = {name: [fields[i] for fields in rows] for i, name in enumerate(header)}
    return pa.table({name: pa.chunked_array([texts], pa.string()) for name, texts in cells.items()})


def _parsed(path: Path, header: list[str]) -> pa.Table | None:
    """What Arrow reads, or None where that may not be what the strict reader would."""
    try:
        table = arrow_csv.read_csv(
            path,
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException:
        return None
    longest = max(pc.max(pc.binary_length(column)).as_py() or 0 for column in table.columns)
    return table if table.column_names == header and longest <= csv.field_size_limit() else None


def _unambiguous(path: Path) -> bool:
    """Whether each quote opens, closes or is doubled in a field, and no carriage return is alone.

    Then all readers of CSV agree; they differ about quotes within unquoted fields.
    """
    data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")  # (B,)
    seen = 0
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        quotes = start + np.flatnonzero(block == QUOTE)
        opening, closing = quotes[seen % 2 :: 2], quotes[1 - seen % 2 :: 2]
        seen += len(quotes)
        returns = start + np.flatnonzero(block == RETURN)
        if not (
            np.isin(_beside(data, opening - 1), (COMMA, FEED, QUOTE)).all()
            and np.isin(_beside(data, closing + 1), (COMMA, FEED, RETURN, QUOTE)).all()
            and (_beside(data, returns + 1) == FEED).all()
        ):
            return False
    return seen % 2 == 0


def _beside(data: NDArray[np.uint8], places: NDArray[np.intp]) -> NDArray[np.uint8]:
    # Before the first byte and after the last is as good as a line's end.
    inside = (places >= 0) & (places < len(data))
    return np.where(inside, data[np.where(inside, places, 0)], FEED).astype(np.uint8)
