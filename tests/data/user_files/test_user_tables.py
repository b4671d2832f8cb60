"""A table comes back as it was written, and every broken rule is named with file and row."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundjudge.data.tables import tables, texts
from soundjudge.data.tables.schema import Table, check_table
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError

RATINGS_CSV = "wav_file_name,text,score,listener_id,split,model_id\n"


def ratings(**change) -> pd.DataFrame:
    columns = {
        "wav_file_name": ["00000.wav", "00000.wav", "00001.wav"],
        "text": ["a dog barks", "a dog barks", 'rain, "heavy"'],
        "listener_id": ["007", "a", "007"],
        "score": [0.0, 10.0, 7.25],
        "split": ["train"] * 3,
        "model_id": ["m1", "m1", None],
    }
    return pd.DataFrame(columns | change)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_comes_back_as_it_was(tmp_path, suffix):
    path = tmp_path / f"ratings.{suffix}"
    tables.write_table(ratings(), path, tables.RATINGS)
    back = read_user_table(path, tables.RATINGS)
    assert list(back.columns) == list(tables.RATINGS.columns)
    assert back["listener_id"].tolist() == ["007", "a", "007"]
    assert back["score"].tolist() == [0.0, 10.0, 7.25]
    assert back["text"].tolist() == ratings()["text"].tolist()
    assert back["model_id"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_empty_table_comes_back_empty(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    tables.write_table(pd.DataFrame(columns=list(tables.RATINGS.columns)), path, tables.RATINGS)
    back = read_user_table(path, tables.RATINGS)
    assert len(back) == 0
    assert back["score"].dtype == "float64"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_rows_are_the_same_bytes(tmp_path, suffix):
    one, two = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
    tables.write_table(ratings(), one, tables.RATINGS)
    tables.write_table(read_user_table(one, tables.RATINGS), two, tables.RATINGS)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
            ).filter(lambda text: not texts.is_blank(text)),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=5,
        unique_by=lambda row: row[0],
    )
)
def test_any_text_and_nine_digits_of_any_float_survive_a_csv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    frame = pd.DataFrame(
        {
            "wav_file_name": [f"{i}.wav" for i in range(len(rows))],
            "text": [text for text, _ in rows],
            "pred_score": [score for _, score in rows],
        }
    )
    tables.write_table(frame, path, tables.PREDICTIONS)
    back = read_user_table(path, tables.PREDICTIONS)
    assert back["text"].tolist() == frame["text"].tolist()
    scores = [score for _, score in rows]
    assert back["pred_score"].tolist() == pytest.approx(scores, rel=5.1e-9, abs=1e-12)


def test_crlf_a_byte_order_mark_another_column_order_and_na_texts_are_read(tmp_path):
    path = tmp_path / "r.csv"
    text = "\ufeffscore,text,wav_file_name,listener_id,split\r\n10,NA,00000.wav,007,train\r\n\r\n"
    path.write_bytes(text.encode())
    frame = read_user_table(path, tables.RATINGS)
    assert frame["text"].tolist() == ["NA"]
    assert frame["listener_id"].tolist() == ["007"]
    assert frame["model_id"].isna().all()


def test_extra_columns_are_dropped(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("wav_file_name,text,pred_score,note\n0.wav,a,1.5,007\n")
    assert "note" not in read_user_table(path, tables.PREDICTIONS)


def test_a_table_without_a_column_is_checked_by_the_remaining_rules(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("wav_file_name,text,score,listener_id\n0.wav,a,11,x\n")
    with pytest.raises(SoundjudgeError, match=r"r\.csv, row 1: score 11\.0 lies outside 0 to 10"):
        read_user_table(path, tables.RATINGS.without("split", "model_id"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0.wav,a,11,x,train,\n", "row 1: score 11.0 lies outside 0 to 10: bring"),
        ("0.wav,a,1,x,train,\n1.wav,a,-1,x,train,\n", "row 2: score -1.0 lies outside"),
        ("0.wav,a,nan,x,train,\n", "row 1: score nan is not a finite number: correct"),
        ("0.wav,a,inf,x,train,\n", "row 1: score inf is not a finite number: correct"),
        ("0.wav,a,,x,train,\n", "row 1: score '' is not a number: write it like 7.5"),
        ("0.wav,a,good,x,train,\n", "row 1: score 'good' is not a number: write it like 7.5"),
        (
            "0.wav,a,1,x,train,\n0.wav,a,2,x,train,\n",
            "row 2: listener_id .x., wav_file_name .0.wav. stands .* time, after row 1: keep",
        ),
        (
            "0.wav,a,1,x,train,\n1.wav,a,1,x,train,\n0.wav,b,2,y,train,\n",
            "row 3: wav_file_name '0.wav' has the text 'b', but 'a' in row 1: correct one",
        ),
        (
            "0.wav,a,1,x,train,m\n0.wav,a,2,y,train,\n",
            "row 2: wav_file_name '0.wav' has no model_id, but 'm' in row 1: correct one",
        ),
        ("0.wav,a,1,,train,\n", "row 1: listener_id is empty: fill it in"),
        ("0.wav,a,1, ,train,\n0.wav,a,1, ,train,\n", r"1: listener_id is empty \(2 such rows\)"),
        (",a,1,x,train,\n", "row 1: wav_file_name is empty: fill"),
        ("0.wav,,1,x,train,\n", "row 1: text is empty: fill"),
        ("../0.wav,a,1,x,train,\n", r"row 1: wav_file_name '\.\./0\.wav' must be .* relative"),
        ("a/../0.wav,a,1,x,train,\n", "row 1: wav_file_name .* must be .* relative"),
        ("/0.wav,a,1,x,train,\n", "row 1: wav_file_name '/0.wav' must be"),
        ("C:\\0.wav,a,1,x,train,\n", "row 1: wav_file_name .* must be"),
        ("0.wav,a, b,1,x,train,\n", "row 1: 7 fields where 6 are needed; a text with a comma"),
        ("0.wav,a,1,x\n", "row 1: 4 fields where 6"),
        ('0.wav,"a,1,x,train,\n', "line 2: unexpected end of data: check the double quotes"),
        ('0.wav,"a"b,1,x,train,\n', "line 2: ',' expected after '\"': check the double quotes"),
        ("0.wav,a,1,x,train,\r0.wav,a,1,x,train,\n", "line 2: a carriage return stands alone"),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, message):
    path = tmp_path / "ratings.csv"
    path.write_bytes((RATINGS_CSV + rows).encode())
    with pytest.raises(SoundjudgeError, match=message) as error:
        read_user_table(path, tables.RATINGS)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["0..5.wav", "ab:c.wav", "..hidden.wav", "a/b c.wav"])
def test_a_name_that_only_looks_like_leaving_its_folder_is_taken(tmp_path, name):
    path = tmp_path / "p.csv"
    path.write_text(f"wav_file_name,text,pred_score\n{name},a,1\n")
    assert read_user_table(path, tables.PREDICTIONS)["wav_file_name"].tolist() == [name]


SPARSE = Table(name="sparse", columns={"id": "str", "r": "float"}, nullable=("r",))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_nullable_number_may_be_empty_and_no_infinity(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    frame = pd.DataFrame({"id": ["a", "b"], "r": [float("nan"), 0.5]})
    tables.write_table(frame, path, SPARSE)
    assert read_user_table(path, SPARSE)["r"].isna().tolist() == [True, False]
    with pytest.raises(SoundjudgeError, match="row 1: r inf is not a finite number"):
        tables.write_table(frame.assign(r=[float("inf"), 0.5]), path, SPARSE)


def test_categorical_columns_are_checked_by_their_categories():
    frame = ratings()
    names = ["wav_file_name", "text", "listener_id", "split"]
    check_table(frame.astype(dict.fromkeys(names, "category")), tables.RATINGS, "here")
    wrong = frame.assign(wav_file_name=pd.Categorical(["a.wav", "a.wav", "../b.wav"]))
    with pytest.raises(SoundjudgeError, match="row 3: wav_file_name '../b.wav' must be"):
        check_table(wrong, tables.RATINGS, "here")
    # A category that no row has breaks no rule.
    unused = pd.Categorical(["a.wav", "a.wav", "b.wav"], categories=["a.wav", "b.wav", "/c.wav"])
    check_table(frame.assign(wav_file_name=unused), tables.RATINGS, "here")


CELLS = st.one_of(
    st.sampled_from(
        ["a", "b", "", "1", "0.5", "-1", "nan", "1e999", "1_0", " 2", "ä", "NA", "x,y"]
    ),
    st.text(alphabet='ab1,"\n\r. \ufeff\u2028\0', max_size=4),
)


@st.composite
def csv_bytes(draw):
    """CSV files, most of them nearly right: quoted well or badly, ragged, cut off, not UTF-8."""
    quote = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    header = draw(st.sampled_from([["id", "r"], ["id", "r", "more"], ["r", "id"], ["id", "id"]]))
    rows = draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), max_size=4))
    if quote == csv.QUOTE_NONE:
        text = end.join(",".join(row) for row in [header, *rows])
    else:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator=end, quoting=quote).writerows([header, *rows])
        text = buffer.getvalue()
    mark = draw(st.sampled_from(["", "", "\ufeff", "\n"]))
    raw = (mark + text).encode()
    if draw(st.booleans()):
        raw = raw[: draw(st.integers(0, len(raw)))] + draw(st.sampled_from([b"", b"\xe9", b'"']))
    return raw


def outcome(path):
    """The cells of a file, or the sentence about what is wrong."""
    try:
        frame = read_user_table(path, SPARSE)
    except SoundjudgeError as error:
        return str(error)
    return frame.columns.tolist(), frame.dtypes.tolist(), frame.astype(str).to_numpy().tolist()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(csv_bytes())
def test_any_bytes_are_read_or_refused_with_a_sentence(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(raw)
    result = outcome(path)
    assert isinstance(result, tuple) or str(path) in result


def test_a_cell_longer_than_the_strict_reader_takes_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"id,r\n{'a' * (csv.field_size_limit() + 1)},1\n")
    with pytest.raises(SoundjudgeError, match="line 2: field larger than field limit"):
        read_user_table(path, SPARSE)


def test_a_bad_header_or_file_is_named(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(SoundjudgeError, match="does not exist"):
        read_user_table(path, tables.PREDICTIONS)
    path.write_text("")
    with pytest.raises(SoundjudgeError, match="is empty"):
        read_user_table(path, tables.PREDICTIONS)
    path.write_text("sep=,\nwav_file_name,text,pred_score\n0.wav,a,5\n")
    with pytest.raises(SoundjudgeError, match="its first line is 'sep=': remove that line"):
        read_user_table(path, tables.PREDICTIONS)
    path.write_text("wav_file_name,text\n0.wav,a\n")
    with pytest.raises(
        SoundjudgeError, match=r"'pred_score' is missing \(there are wav_file_name, text\): add it"
    ):
        read_user_table(path, tables.PREDICTIONS)
    path.write_text("text,text\n")
    with pytest.raises(SoundjudgeError, match="stands twice in text, text: rename or remove"):
        read_user_table(path, tables.PREDICTIONS)
    path.write_bytes(b"wav_file_name,text,pred_score\n0.wav,a\xe9,1\n")
    with pytest.raises(SoundjudgeError, match="line 2 is not UTF-8"):
        read_user_table(path, tables.PREDICTIONS)
    with pytest.raises(SoundjudgeError, match="is a folder: name a file"):
        read_user_table(tmp_path, tables.PREDICTIONS)
    broken = tmp_path / "x.parquet"
    broken.write_text("no parquet")
    with pytest.raises(SoundjudgeError, match=r"x\.parquet is not a readable Parquet file"):
        read_user_table(broken, tables.PREDICTIONS)
    with pytest.raises(SoundjudgeError, match=r"read from \.csv, \.tsv, \.jsonl or \.parquet"):
        other = tmp_path / "x.txt"
        other.write_text("")
        read_user_table(other, tables.PREDICTIONS)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("wave_file_name,text,score", "'wav_file_name' is missing .*: rename 'wave_file_name' to"),
        ("wav_file_name,caption,score", "'text' is missing .*: rename 'caption' to 'text'"),
        ("wav_file_name,text,Score ", "'score' is missing .*: rename 'Score ' to 'score'"),
        ("stimulus,text,score", "'wav_file_name' is missing .*: rename 'stimulus' to"),
        ("wav_file_name,text,Rating", "'score' is missing .*: rename 'Rating' to 'score'"),
        (
            "wav_file_name,text,points",
            "'score' is missing .*: add it, rename the column",
        ),
        ("wav_file_name,text,scores", "'score' is missing .*: rename 'scores' to 'score'"),
        (
            "wav_file_name;text;score",
            "'text' and 'score' are missing .*: separate columns by commas",
        ),
        ("wav_file_name\ttext\tscore", "are missing .*: separate columns by commas"),
        ("wav_file_name,text,average_score", "'average_score' holds averages, and each listener"),
        (
            "wav_file_name,text,average_semantic_alignement_score",
            "'average_semantic_alignement_score' holds averages",
        ),
        ("wav_file_name,text", "'score' is missing .*: add it"),
    ],
)
def test_a_missing_column_is_named_with_what_to_rename(tmp_path, header, message):
    path = tmp_path / "x.csv"
    path.write_text(header + "\n")
    with pytest.raises(SoundjudgeError, match=message):
        read_user_table(path, tables.RATINGS.without("listener_id", "split"))


def test_a_column_per_listener_is_told_from_a_column_under_another_name(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("wav_file_name,anna,ben\na.wav,3,4\n")
    with pytest.raises(
        SoundjudgeError, match="'listener_id' and 'score' are missing .*: give each rating a row"
    ):
        read_user_table(path, tables.RATINGS.without("text", "split", "model_id"))
    path.write_text("wav_file_name,Rating,person\na.wav,3,ben\n")
    with pytest.raises(SoundjudgeError, match="'Rating' to 'score'; add 'listener_id', rename"):
        read_user_table(path, tables.RATINGS.without("text", "split", "model_id"))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ["id", "prompt"],
            "the columns 'wav_file_name', 'text', 'listener_id' and 'score' are missing (there are "
            "id, prompt): rename 'prompt' to 'text'; give each rating a row of its own, if each "
            "listener has a column (pandas.melt); add 'wav_file_name' and 'score', rename the "
            "columns that hold them, or name the file that has them",
        ),
        (
            ["text", "listener_id"],
            "the columns 'wav_file_name' and 'score' are missing (there are text, listener_id): "
            "add them, rename the columns that hold them, or name the file that has them",
        ),
        (
            ["wav_file_name", "text", "mean_score"],
            "the columns 'listener_id' and 'score' are missing (there are wav_file_name, text, "
            "mean_score): 'mean_score' holds averages, and each listener's own ratings are needed",
        ),
    ],
)
def test_all_missing_columns_are_named_at_once(tmp_path, columns, message, suffix):
    path = tmp_path / f"x{suffix}"
    frame = pd.DataFrame({name: ["a"] for name in columns})
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    with pytest.raises(SoundjudgeError) as error:
        read_user_table(path, tables.RATINGS.without("split"))
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs Linux's /proc")
def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "x.csv"
    path.symlink_to("/proc/self/mem")  # opens, but its first bytes cannot be read
    with pytest.raises(SoundjudgeError, match=r"x\.csv cannot be read: "):
        read_user_table(path, tables.PREDICTIONS)


def test_writing_refuses_strange_columns_wrong_types_and_nan(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(SoundjudgeError, match="has no column 'note'"):
        tables.write_table(ratings().assign(note="x"), path, tables.RATINGS)
    with pytest.raises(SoundjudgeError, match="row 2: score nan is not a finite"):
        tables.write_table(ratings(score=[1.0, float("nan"), 2.0]), path, tables.RATINGS)
    with pytest.raises(SoundjudgeError, match="'score' is .*, not float"):
        tables.write_table(ratings(score=["1", "2", "3"]), path, tables.RATINGS)
    with pytest.raises(SoundjudgeError, match="row 1: listener_id 1 is not text"):
        tables.write_table(ratings(listener_id=[1, 2, 3]), path, tables.RATINGS)
    assert not path.exists()


NO_NUMBERS = [
    "1_0",
    "\u0667",
    "\uff17",
    "0x7",
    "7e",
    "1,5",
    "7 5",
    "--7",
    "\u00bd",
    "\u22127",
    "e5",
]


@pytest.mark.parametrize("cell", NO_NUMBERS)
def test_numbers_are_plain_digits(tmp_path, cell):
    path = tmp_path / "x.csv"
    path.write_text(f'id,r\na,1\nb,"{cell}"\n')
    with pytest.raises(SoundjudgeError, match=r"row 2: r .* is not a number: write it like 7\.5"):
        read_user_table(path, SPARSE)


@pytest.mark.parametrize("cell", ["nan", "NaN", "inf", "-Infinity"])
def test_a_word_for_no_number_is_not_an_empty_cell(tmp_path, cell):
    path = tmp_path / "x.csv"
    path.write_text(f"id,r\na,{cell}\n")
    with pytest.raises(SoundjudgeError, match=f"row 1: r {cell} is not a finite number: correct"):
        read_user_table(path, SPARSE)


def test_every_way_of_writing_a_number_is_read(tmp_path):
    cells = ["7", "+7", "-7", "7.", ".5", "7.50", "1e3", "1E-3", " 7", "7 ", "007"]
    (tmp_path / "x.csv").write_text("id,r\n" + "".join(f"{n},{c}\n" for n, c in enumerate(cells)))
    expected = [7, 7, -7, 7, 0.5, 7.5, 1000, 0.001, 7, 7, 7]
    assert read_user_table(tmp_path / "x.csv", SPARSE)["r"].tolist() == expected


def test_a_nul_is_refused_with_its_line(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"id,r\na,1\nb\0,2\n")
    with pytest.raises(SoundjudgeError, match="line 3 has a NUL character: remove it"):
        read_user_table(path, SPARSE)


JSON_LINES = [
    ('{"id": "a", "r": 1}\n{"id": "b"}\n', r"line 2 has not the keys of the first line \(r\)"),
    ('{"id": "a", "r": [1]}\n', "line 1: r is a list or an object"),
    ('[1, 2]\n', "line 1 is no object with different keys"),
    ('{"id": "a", "id": "b"}\n', "line 1 is no object with different keys"),
    ('{"id": "a", "r": 1\n', "line 1 is no JSON"),
    ('{"id": "a\\u0000", "r": 1}\n', "line 1: id has a NUL or half a character"),
    ('{"id": "\\ud800", "r": 1}\n', "line 1: id has a NUL or half a character"),
    ('{"id": "a", "r": NaN}\n', "row 1: r NaN is not a finite number"),
    ('{"id": "a", "r": true}\n', "row 1: r 'true' is not a number"),
    ("", "is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), JSON_LINES)
def test_bad_json_lines_are_named(tmp_path, text, message):
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(SoundjudgeError, match=message):
        read_user_table(tmp_path / "x.jsonl", SPARSE)


def test_json_lines_keep_texts_and_digits(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "007", "r": 0.5, "note": 1.50}\n\n{"note": "x", "r": null, "id": 7}\n')
    frame = read_user_table(path, replace(SPARSE, columns=SPARSE.columns | {"note": "str"}))
    assert frame["id"].tolist() == ["007", "7"]
    assert frame["r"].isna().tolist() == [False, True]
    assert frame["note"].tolist() == ["1.50", "x"]
