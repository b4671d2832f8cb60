"""Files that are no table of text, and tables whose first line is none: one sentence each."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soundjudge.data.user_files.user_tables import read_header, read_user_table
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.library import RATINGS
from soundjudge.scoring.files.pair_table import read_pair_table

CSV = "wav_file_name,text,score,listener_id\n0.wav,a dog,5,l1\n"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", CSV)
    return buffer.getvalue()


def parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame({"text": ["x"]}).to_parquet(buffer)
    return buffer.getvalue()


KINDS = {
    "gz": (gzip.compress(CSV.encode()), "compressed by gzip: unpack it"),
    "bz2": (bz2.compress(CSV.encode()), "compressed by bzip2: unpack it"),
    "xz": (lzma.compress(CSV.encode()), "compressed by xz: unpack it"),
    "zst": (b"\x28\xb5\x2f\xfd" + bytes(20), "compressed by zstd: unpack it"),
    "xlsx": (zipped(), "a zip archive or a workbook: unpack it, or export its sheet as CSV"),
    "xls": (b"\xd0\xcf\x11\xe0" + bytes(20), "a workbook of Excel: export its sheet as CSV"),
    "parquet": (parquet(), "a Parquet file: let its name end in .parquet"),
    "utf16": (CSV.encode("utf-16"), "UTF-16: save the file as UTF-8"),
    "utf16_without_mark": (CSV.encode("utf-16-le"), "seems to be UTF-16: save the file as UTF-8"),
    "utf32": (CSV.encode("utf-32"), "UTF-32: save the file as UTF-8"),
}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_file_that_is_no_text_is_called_what_it_is(tmp_path, kind, suffix):
    content, remedy = KINDS[kind]
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content)
    for read in (read_header, read_pair_table, lambda path: read_user_table(path, RATINGS)):
        with pytest.raises(SoundjudgeError) as error:
            read(path)
        assert str(error.value).startswith(f"{path} is not UTF-8 but ")
        assert remedy in str(error.value)


@pytest.mark.parametrize("suffix", [".csv.gz", ".xlsx"])
def test_so_is_a_file_whose_name_says_it(tmp_path, suffix):
    content, remedy = KINDS[suffix.rpartition(".")[2]]
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content)
    for read in (read_header, read_pair_table):
        with pytest.raises(SoundjudgeError) as error:
            read(path)
        assert remedy in str(error.value)


def test_a_nul_among_letters_is_no_other_encoding(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(CSV + "1.wav,a d\0g,5,l1\n")
    with pytest.raises(SoundjudgeError, match="line 3 has a NUL character: remove it"):
        read_user_table(path, RATINGS)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", CSV.replace(",", ";").replace("5", "5,5"), "separate them by commas, and write"),
        ("t.csv", "# ratings of May\n" + CSV, "let the first line name all columns"),
        ("t.tsv", "ratings of May\n" + CSV.replace(",", "\t"), "separate them by tabs"),
    ],
)
def test_a_first_line_that_names_no_columns_is_said(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content)
    for read in (read_pair_table, lambda path: read_user_table(path, RATINGS.without("text"))):
        with pytest.raises(SoundjudgeError) as error:
            read(path)
        assert f"{path}: its first line names one column, and row 1 has " in str(error.value)
        assert words in str(error.value)


def test_commas_in_a_file_of_tabs_are_said(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text(CSV)
    with pytest.raises(SoundjudgeError, match="separate columns by tabs"):
        read_user_table(path, RATINGS)


def test_a_long_first_line_is_cut_in_the_sentence(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("<html>" * 10_000 + "\n")
    with pytest.raises(SoundjudgeError) as error:
        read_user_table(path, RATINGS)
    assert len(str(error.value)) < 600 + len(str(path))


@pytest.mark.parametrize("twin", ["Score", "score ", "SCORE", "\ufeffscore", "ｓcore"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_column_beside_one_of_another_spelling_is_refused(tmp_path, twin, suffix):
    path = tmp_path / f"t{suffix}"
    frame = pd.DataFrame(
        {"wav_file_name": ["0"], "text": ["x"], "listener_id": ["l"], "score": [5.0], twin: [1.0]}
    )
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    with pytest.raises(SoundjudgeError, match="its columns 'score' and .* rename or remove one"):
        read_user_table(path, RATINGS)
    frame.rename(columns={"score": "other"}).to_csv(tmp_path / "u.csv", index=False)
    with pytest.raises(SoundjudgeError, match="the column 'score' is missing"):
        read_user_table(tmp_path / "u.csv", RATINGS)


@pytest.mark.parametrize("cell", ["[" * 99_999, '{"text":' * 99_999, '{"text": ' + "[" * 99_999])
def test_json_of_endless_depth_is_a_sentence(tmp_path, cell):
    path = tmp_path / "t.jsonl"
    path.write_text(cell)
    for read in (read_header, read_pair_table):
        with pytest.raises(SoundjudgeError, match="line 1 is no JSON"):
            read(path)


def test_two_columns_of_one_name_in_parquet_are_a_sentence_of_one_line(tmp_path):
    path = tmp_path / "t.parquet"
    cells, names = pa.array(["x"]), ["wav_file_name", "text", "text"]
    pq.write_table(pa.Table.from_arrays([cells] * 3, names=names), path)
    for read in (read_header, read_pair_table, lambda path: read_user_table(path, RATINGS)):
        with pytest.raises(SoundjudgeError) as error:
            read(path)
        assert str(error.value) == f"{path} has two columns 'text': rename or remove one"


def test_a_text_in_parquet_that_is_no_utf_8_is_a_sentence(tmp_path):
    path = tmp_path / "t.parquet"
    ends = pa.py_buffer((0).to_bytes(4, "little") + (1).to_bytes(4, "little"))
    bad = pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(b"\xff")])
    columns = {"wav_file_name": ["0"], "text": bad, "listener_id": ["l"], "score": [5.0]}
    pq.write_table(pa.table(columns), path)
    for read in (read_pair_table, lambda path: read_user_table(path, RATINGS)):
        with pytest.raises(SoundjudgeError) as error:
            read(path)
        assert str(error.value).startswith(f"{path} is not a readable Parquet file: ")
        assert "\n" not in str(error.value)


def test_a_whole_json_list_is_no_table(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps([{"wav_file_name": "0", "text": "x"}] * 3))
    with pytest.raises(SoundjudgeError, match=r"t\.json: a table is read from \.csv"):
        read_header(path)
