"""Very many ratings in Parquet: codes and scores in memory, everything else on disk.

Ids are read as dictionary codes, block by block; a rating takes 12 bytes in memory, two codes and a
score. Rows are written in a second pass through the file, so that other columns are copied
unchanged and no text is held twice.

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

from soundjudge.data.tables import spellings, text_columns
from soundjudge.data.tables.text_columns import TextColumn
from soundjudge.data.user_files import column_names
from soundjudge.errors import SoundjudgeError
from soundjudge.labels import scales
from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.rating_arrays import Codes, RatingArrays
from soundjudge.labels.scales import Scale
from soundjudge.runtime.artifacts import atomic_file

IDS = ("wav_file_name", "text", "listener_id")
BLOCK = 1 << 20  # rows read or written at once
MERGED_BLOCKS = 16  # whose dictionaries are merged at once: more take less time and more memory


def read_parquet_ratings(path: Path, scale: Scale | None = None) -> RatingArrays:
    """The ratings of a Parquet file, with the checks of a CSV file. Raises SoundjudgeError."""
    with _open(path) as file:
        names = file.schema_arrow.names
    with_text = column_names.has_text(names, path)
    ids = [name for name in IDS if name != "text" or with_text]
    for name in (*ids, "score"):
        if name not in names:
            raise column_names.missing_column_error(name, names, path)
    with _open(path, ids) as file:
        if not file.metadata.num_rows:
            raise SoundjudgeError(f"{path} has no ratings: it needs a row for each")
        score = scales.to_ten(_read_scores(file, path), scale, str(path))
        sound, sounds = _read_codes(file, "wav_file_name", path)
        text, texts = np.zeros_like(sound), pa.array([""])  # of a file without texts
        if with_text:
            text, texts = _read_codes(file, "text", path)
        _check_names(sound, sounds, text, texts, path)
        pair = rating_arrays.combine_codes(sound, len(sounds), text, len(texts))
        del sound, sounds, text, texts
        listener, listener_ids = _read_codes(file, "listener_id", path)
        column = TextColumn(name="listener_id", codes=listener, texts=listener_ids.to_pandas())
        spellings.check_spellings(column, str(path))
    ratings = RatingArrays(
        pair=pair,
        listener=listener,
        score=score,
        num_pairs=int(pair.max()) + 1,
        listener_ids=pd.Index(listener_ids.to_pandas()),
    )
    _check_unique(ratings, path)
    return ratings


def write_parquet_rows(
    path: Path,
    out: Path,
    rows: NDArray[np.bool_],
    change: Callable[[pa.Table, int], pa.Table] | None = None,
) -> None:
    """Writes the rows (N,) of the Parquet file `path` that are true, in order, to the file `out`.

    `change` maps a block (B rows) and the number of rows before it to the block that is written.
    """
    start = written = 0
    with _open(path) as file, atomic_file(out) as temporary:
        writer = None
        for batch in file.iter_batches(BLOCK):
            block = pa.Table.from_batches([batch.filter(rows[start : start + len(batch)])])
            start += len(batch)
            block = block if change is None else change(block, written)
            written += len(block)
            writer = writer or pq.ParquetWriter(temporary, block.schema, compression="zstd")
            writer.write_table(block)
        assert writer is not None, f"{path} has no rows"
        writer.close()


@contextmanager
def _open(path: Path, coded_columns: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    if path.is_dir():
        raise SoundjudgeError(f"{path} is a folder: name a file (ratings table)")
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist (ratings table)")
    try:
        with pq.ParquetFile(path, read_dictionary=list(coded_columns)) as file:
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        raise SoundjudgeError(f"{path} is not a readable Parquet file: {error}") from error


def _read_scores(file: pq.ParquetFile, path: Path) -> NDArray[np.floating]:
    kind = file.schema_arrow.field("score").type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise SoundjudgeError(f"{path}: score is {kind}: store it as a number")
    narrow = pa.types.is_float16(kind) or pa.types.is_float32(kind)
    score = np.empty(file.metadata.num_rows, dtype=np.float32 if narrow else np.float64)
    start = 0
    for batch in file.iter_batches(BLOCK, columns=["score"]):
        score[start : start + len(batch)] = batch.column(0).to_numpy(zero_copy_only=False)
        start += len(batch)
    bad = ~np.isfinite(score)
    if bad.any():
        row = int(bad.argmax())
        raise SoundjudgeError(
            f"{path}, row {row + 1}: score {score[row]:g} is not a finite number"
            f" ({int(bad.sum())} such rows): correct or remove the row"
        )
    return score


def _read_codes(file: pq.ParquetFile, name: str, path: Path) -> tuple[Codes, pa.Array]:
    """The code of each row's text, and the texts."""
    codes = np.empty(file.metadata.num_rows, dtype=np.int32)
    texts, blocks, start = pa.array([], pa.string()), [], 0
    remaining = file.metadata.num_rows
    for batch in file.iter_batches(BLOCK, columns=[name]):
        blocks.append(_dictionary(batch.column(0), f"{path}: {name}"))
        remaining -= len(batch)
        if len(blocks) < MERGED_BLOCKS and remaining:
            continue
        # The texts so far come first, so that they keep their codes.
        head = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), texts)
        merged = pa.chunked_array([head, *blocks]).unify_dictionaries()
        for chunk in merged.chunks[1:]:
            codes[start : start + len(chunk)] = chunk.indices.fill_null(-1)
            start += len(chunk)
        texts, blocks = merged.chunk(0).dictionary, []
    empty = codes < 0
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
    if pc.any(blank).as_py():
        empty |= np.asarray(blank)[codes]
    if empty.any():
        row = int(empty.argmax()) + 1
        raise SoundjudgeError(f"{path}, row {row}: {name} is empty: fill it in or remove the row")
    return codes, texts


def _dictionary(column: pa.Array, where: str) -> pa.DictionaryArray:
    target = pa.dictionary(pa.int32(), pa.string())
    values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
    if not any(is_kind(values) for is_kind in texts):
        raise SoundjudgeError(f"{where} is {values}: store it as text")
    return column if column.type == target else column.cast(pa.string()).dictionary_encode()


def _check_names(sound: Codes, sounds: pa.Array, text: Codes, texts: pa.Array, path: Path) -> None:
    sound_column = TextColumn(name="wav_file_name", codes=sound, texts=sounds.to_pandas())
    text_columns.check_file_names(sound_column, str(path))
    spellings.check_spellings(sound_column, str(path))
    text_column = TextColumn(name="text", codes=text, texts=texts.to_pandas())
    text_columns.check_determines(sound_column, text_column, str(path))


def _check_unique(ratings: RatingArrays, path: Path) -> None:
    codes = ratings.pair.astype(np.int64) * ratings.num_listeners + ratings.listener
    ordered = np.sort(codes)
    repeated = ordered[1:] == ordered[:-1]
    if repeated.any():
        first, second = np.flatnonzero(codes == ordered[int(repeated.argmax())])[:2] + 1
        raise SoundjudgeError(
            f"{path}, row {second}: the same listener rates the same pair a second time, after row "
            f"{first}: keep one of the rows"
        )
