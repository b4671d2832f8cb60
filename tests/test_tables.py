"""A table comes back as it was written, and every broken rule is named with file and row."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundjudge.data import tables
from soundjudge.data.tables import TableError

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
    tables.write(ratings(), path, tables.RATINGS)
    back = tables.read(path, tables.RATINGS)
    assert list(back.columns) == list(tables.RATINGS.columns)
    assert back["listener_id"].tolist() == ["007", "a", "007"]
    assert back["score"].tolist() == [0.0, 10.0, 7.25]
    assert back["text"].tolist() == ratings()["text"].tolist()
    assert back["model_id"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_empty_table_comes_back_empty(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    tables.write(pd.DataFrame(columns=list(tables.RATINGS.columns)), path, tables.RATINGS)
    back = tables.read(path, tables.RATINGS)
    assert len(back) == 0
    assert back["score"].dtype == "float64"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_rows_are_the_same_bytes(tmp_path, suffix):
    one, two = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
    tables.write(ratings(), one, tables.RATINGS)
    tables.write(tables.read(one, tables.RATINGS), two, tables.RATINGS)
    assert one.read_bytes() == two.read_bytes()


@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
            ).filter(lambda text: text.strip()),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=5,
        unique_by=lambda row: row[0],
    )
)
def test_any_text_and_any_float_survive_a_csv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    frame = pd.DataFrame(
        {
            "wav_file_name": [f"{i}.wav" for i in range(len(rows))],
            "text": [text for text, _ in rows],
            "pred_score": [score for _, score in rows],
        }
    )
    tables.write(frame, path, tables.PREDICTIONS)
    back = tables.read(path, tables.PREDICTIONS)
    assert back["text"].tolist() == frame["text"].tolist()
    assert back["pred_score"].tolist() == frame["pred_score"].tolist()


def test_booleans_and_whole_numbers_survive_a_csv(tmp_path):
    pairs = pd.DataFrame(
        {"clip_id": ["a", "b"], "caption_id": ["1", "2"], "matched": [True, False]}
    ).assign(clap_score=[0.5, -0.25])
    tables.write(pairs, tmp_path / "p.csv", tables.PAIRS)
    assert tables.read(tmp_path / "p.csv", tables.PAIRS)["matched"].tolist() == [True, False]


def test_crlf_a_byte_order_mark_another_column_order_and_na_texts_are_read(tmp_path):
    path = tmp_path / "r.csv"
    text = "\ufeffscore,text,wav_file_name,listener_id,split\r\n10,NA,00000.wav,007,train\r\n\r\n"
    path.write_bytes(text.encode())
    frame = tables.read(path, tables.RATINGS)
    assert frame["text"].tolist() == ["NA"]
    assert frame["listener_id"].tolist() == ["007"]
    assert frame["model_id"].isna().all()


def test_extra_columns_are_dropped_or_kept_as_text(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("wav_file_name,text,pred_score,note\n0.wav,a,1.5,007\n")
    assert "note" not in tables.read(path, tables.PREDICTIONS)
    assert tables.read(path, tables.PREDICTIONS, extra=True)["note"].tolist() == ["007"]


def test_a_table_without_a_column_is_checked_by_the_remaining_rules(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("wav_file_name,text,score,listener_id\n0.wav,a,11,x\n")
    with pytest.raises(TableError, match=r"r\.csv, row 1: score 11\.0 lies outside 0 to 10"):
        tables.read(path, tables.RATINGS.without("split", "model_id"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0.wav,a,11,x,train,\n", "row 1: score 11.0 lies outside 0 to 10"),
        ("0.wav,a,1,x,train,\n1.wav,a,-1,x,train,\n", "row 2: score -1.0 lies outside"),
        ("0.wav,a,nan,x,train,\n", "row 1: score nan is not a finite number"),
        ("0.wav,a,inf,x,train,\n", "row 1: score inf is not a finite number"),
        ("0.wav,a,,x,train,\n", "row 1: score '' is not float"),
        ("0.wav,a,good,x,train,\n", "row 1: score 'good' is not float"),
        ("0.wav,a,1,x,train,\n0.wav,a,2,x,train,\n", "row 2: .*'x'.*'0.wav' stands here a second"),
        ("0.wav,a,1,x,train,\n0.wav,b,2,y,train,\n", "row 1: wav_file_name '0.wav' .* one text"),
        ("0.wav,a,1,,train,\n", "row 1: listener_id .* is empty"),
        ("0.wav,a,1, ,train,\n", "row 1: listener_id ' ' is empty"),
        (",a,1,x,train,\n", "row 1: wav_file_name .* is empty"),
        ("0.wav,,1,x,train,\n", "row 1: text .* is empty"),
        ("../0.wav,a,1,x,train,\n", r"row 1: wav_file_name '\.\./0\.wav' must be .* relative"),
        ("/0.wav,a,1,x,train,\n", "row 1: wav_file_name '/0.wav' must be"),
        ("C:\\0.wav,a,1,x,train,\n", "row 1: wav_file_name .* must be"),
        ("0.wav,a, b,1,x,train,\n", "row 1: 7 fields where 6 are needed; a text with a comma"),
        ("0.wav,a,1,x\n", "row 1: 4 fields where 6"),
        ('0.wav,"a,1,x,train,\n', "line 2: unexpected end of data"),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, message):
    path = tmp_path / "ratings.csv"
    path.write_text(RATINGS_CSV + rows)
    with pytest.raises(TableError, match=message) as error:
        tables.read(path, tables.RATINGS)
    assert str(path) in str(error.value)


def test_a_bad_header_or_file_is_named(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(TableError, match="does not exist"):
        tables.read(path, tables.PREDICTIONS)
    path.write_text("")
    with pytest.raises(TableError, match="is empty"):
        tables.read(path, tables.PREDICTIONS)
    path.write_text("wav_file_name,text\n0.wav,a\n")
    with pytest.raises(
        TableError, match=r"'pred_score' is missing \(there are wav_file_name, text"
    ):
        tables.read(path, tables.PREDICTIONS)
    path.write_text("text,text\n")
    with pytest.raises(TableError, match="stands twice"):
        tables.read(path, tables.PREDICTIONS)
    path.write_bytes(b"wav_file_name,text,pred_score\n0.wav,a\xe9,1\n")
    with pytest.raises(TableError, match="line 2 is not UTF-8"):
        tables.read(path, tables.PREDICTIONS)
    broken = tmp_path / "x.parquet"
    broken.write_text("no parquet")
    with pytest.raises(TableError, match=r"x\.parquet is not a readable Parquet"):
        tables.read(broken, tables.PREDICTIONS)
    with pytest.raises(TableError, match=r"read from \.csv or \.parquet"):
        other = tmp_path / "x.txt"
        other.write_text("")
        tables.read(other, tables.PREDICTIONS)


def test_writing_refuses_strange_columns_wrong_types_and_nan(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(TableError, match="has no column 'note'"):
        tables.write(ratings().assign(note="x"), path, tables.RATINGS)
    with pytest.raises(TableError, match="row 2: score nan is not a finite"):
        tables.write(ratings(score=[1.0, float("nan"), 2.0]), path, tables.RATINGS)
    with pytest.raises(TableError, match="'score' is .*, not float"):
        tables.write(ratings(score=["1", "2", "3"]), path, tables.RATINGS)
    with pytest.raises(TableError, match="row 1: listener_id 1 is not text"):
        tables.write(ratings(listener_id=[1, 2, 3]), path, tables.RATINGS)
    assert not path.exists()
