"""Ratings in Parquet, however many: columns of numbers in memory, all else on disk.

Ids are read as dictionary codes, block by block; a rating stays in memory as two numbers and a
score, 12 bytes. Rows are written by going through the file a second time, so that other columns
come along untouched and no text is held twice.

N = ratings, P = pairs, B = rows of a block.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from soundjudge.data.tables import text_columns
from soundjudge.data.tables.text_columns import TextColumn
from soundjudge.data.user_files import column_names
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.rating_arrays import Numbers, RatingArrays
from soundjudge.runtime.artifacts import atomic_file

IDS = ("wav_file_name", "text", "listener_id")
BLOCK = 1 << 20  # rows read or written at once
MERGED = 16  # blocks whose dictionaries are merged at once: more take less time and more memory


def read_parquet_ratings(path: Path) -> RatingArrays:
    """The ratings of a Parquet file, checked as those of a CSV file are. Raises TableError."""
    with _opened(path) as file:
        there = file.schema_arrow.names
    for name in (*IDS, "score"):
        if name not in there:
            raise column_names.missing_column_error(name, there, path)
    with _opened(path, IDS) as file:
        if not file.metadata.num_rows:
            raise SoundjudgeError(f"{path} has no ratings: it needs a row for each")
        score = _scores(file, path)
        sound, sounds = _numbers(file, "wav_file_name", path)
        text, texts = _numbers(file, "text", path)
        _refuse_names(sound, sounds, text, texts, path)
        pair = rating_arrays.combine_codes(sound, len(sounds), text, len(texts))
        del sound, sounds, text, texts
        listener, names = _numbers(file, "listener_id", path)
    index = pd.Index(names.to_pandas())
    ratings = RatingArrays(
        pair=pair, listener=listener, score=score, pairs=int(pair.max()) + 1, names=index
    )
    _refuse_repeated(ratings, path)
    return ratings


def write_parquet_rows(
    path: Path,
    out: Path,
    rows: NDArray[np.bool_],
    change: Callable[[pa.Table, int], pa.Table] | None = None,
) -> None:
    """Writes the rows (N,) of the Parquet file `path` that are true, in order, to the file `out`.

    `change` makes of a block (B rows) what is written, told how many rows came before.
    """
    start = done = 0
    with _opened(path) as file, atomic_file(out) as temporary:
        writer = None
        for batch in file.iter_batches(BLOCK):
            block = pa.Table.from_batches([batch.filter(rows[start : start + len(batch)])])
            start, before, done = start + len(batch), done, done + len(block)
            block = block if change is None else change(block, before)
            writer = writer or pq.ParquetWriter(temporary, block.schema, compression="zstd")
            writer.write_table(block)
        assert writer is not None, f"{path} has no rows"
        writer.close()


@contextmanager
def _opened(path: Path, coded_columns: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    if path.is_dir():
        raise SoundjudgeError(f"{path} is a folder: name a file (ratings table)")
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist (ratings table)")
    try:
        with pq.ParquetFile(path, read_dictionary=list(coded_columns)) as file:
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        raise SoundjudgeError(f"{path} is not a readable Parquet file: {error}") from error


def _scores(file: pq.ParquetFile, path: Path) -> NDArray[np.floating]:
    kind = file.schema_arrow.field("score").type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise SoundjudgeError(f"{path}: score is {kind}: store it as a number")
    narrow = pa.types.is_float16(kind) or pa.types.is_float32(kind)
    score = np.empty(file.metadata.num_rows, dtype=np.float32 if narrow else np.float64)
    start = 0
    for batch in file.iter_batches(BLOCK, columns=["score"]):
        score[start : start + len(batch)] = batch.column(0).to_numpy(zero_copy_only=False)
        start += len(batch)
    bad = ~((score >= 0) & (score <= 10))
    if bad.any():
        row = int(bad.argmax())
        raise SoundjudgeError(
            f"{path}, row {row + 1}: score {score[row]:g} is not a number from 0 to 10"
            f" ({int(bad.sum())} such rows): bring all to that scale or remove the row"
        )
    return score


def _numbers(file: pq.ParquetFile, name: str, path: Path) -> tuple[Numbers, pa.Array]:
    """The number of each row's text, and the texts."""
    numbers = np.empty(file.metadata.num_rows, dtype=np.int32)
    known, blocks, start = pa.array([], pa.string()), [], 0
    rest = file.metadata.num_rows
    for batch in file.iter_batches(BLOCK, columns=[name]):
        blocks.append(_dictionary(batch.column(0), f"{path}: {name}"))
        rest -= len(batch)
        if len(blocks) < MERGED and rest:
            continue
        # Texts that are known come first, so that they keep their numbers.
        head = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), known)
        merged = pa.chunked_array([head, *blocks]).unify_dictionaries()
        for chunk in merged.chunks[1:]:
            numbers[start : start + len(chunk)] = chunk.indices.fill_null(-1)
            start += len(chunk)
        known, blocks = merged.chunk(0).dictionary, []
    empty = numbers < 0
    blank = pc.equal(pc.utf8_trim_whitespace(known), "")
    if pc.any(blank).as_py():
        empty |= np.asarray(blank)[numbers]
    if empty.any():
        row = int(empty.argmax())
        raise SoundjudgeError(
            f"{path}, row {row + 1}: {name} is empty: fill it in or remove the row"
        )
    return numbers, known


def _dictionary(column: pa.Array, where: str) -> pa.DictionaryArray:
    wanted = pa.dictionary(pa.int32(), pa.string())
    values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(values) or pa.types.is_large_string(values)):
        raise SoundjudgeError(f"{where} is {values}: store it as text")
    return column if column.type == wanted else column.cast(pa.string()).dictionary_encode()


def _refuse_names(
    sound: Numbers, sounds: pa.Array, text: Numbers, texts: pa.Array, path: Path
) -> None:
    heard = TextColumn(name="wav_file_name", codes=sound, texts=sounds.to_pandas())
    text_columns.check_file_names(heard, str(path))
    said = TextColumn(name="text", codes=text, texts=texts.to_pandas())
    text_columns.check_determines(heard, said, str(path))


def _refuse_repeated(ratings: RatingArrays, path: Path) -> None:
    both = ratings.pair.astype(np.int64) * ratings.listeners + ratings.listener
    ordered = np.sort(both)
    again = ordered[1:] == ordered[:-1]
    if again.any():
        first, second = np.flatnonzero(both == ordered[int(again.argmax())])[:2] + 1
        raise SoundjudgeError(
            f"{path}, row {second}: the same listener rates the same pair a second time, after row "
            f"{first}: keep one of the rows"
        )
