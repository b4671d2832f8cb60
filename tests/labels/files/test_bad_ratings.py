"""Bad ratings at the command line: one sentence with file, row and remedy, and nothing written."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from soundjudge.cli import app
from soundjudge.data.user_files import delimited

HEADER = "wav_file_name,text,score,listener_id\n"
ROWS = "0.wav,a dog,5,l1\n0.wav,a dog,6,l2\n1.wav,rain,1,l1\n1.wav,rain,2,l2\n"
COMMANDS = ["screen", "standardize"]
REPORTS = ["reliability", "study"]


def run(command: str, *words: object) -> Result:
    return CliRunner().invoke(app, [command, *(str(word) for word in words)])


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def sentence(result: Result) -> str:
    """The one line of an error, which has exit code 2 and no traceback."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("soundjudge: ")
    return line


CASES = {
    "a_misspelt_file_name_column": (
        "wave_file_name,text,score,listener_id\n" + ROWS,
        "the column 'wav_file_name' is missing",
        "rename 'wave_file_name' to 'wav_file_name'",
    ),
    "averages_as_the_challenge_page_spells_them": (
        "wav_file_name,text,average_semantic_alignement_score\n0.wav,a dog,5\n",
        "the columns 'listener_id' and 'score' are missing",
        "'average_semantic_alignement_score' holds averages",
    ),
    "averages_in_place_of_ratings": (
        "wav_file_name,text,average_score\n0.wav,a dog,5\n",
        "the columns 'listener_id' and 'score' are missing",
        "each listener's own ratings are needed",
    ),
    "columns_under_other_names": (
        "Stimulus,caption,rater,response\n0.wav,a dog,l1,5\n",
        "the columns 'wav_file_name', 'text', 'listener_id' and 'score' are missing",
        "rename 'Stimulus' to 'wav_file_name'; rename 'caption' to 'text'; rename 'rater' to "
        "'listener_id'; rename 'response' to 'score'",
    ),
    "a_missing_listener_column": (
        "wav_file_name,text,score\n0.wav,a dog,5\n",
        "the column 'listener_id' is missing",
        "add it",
    ),
    "a_rater_column": (
        "wav_file_name,text,score,rater\n0.wav,a dog,5,l1\n",
        "the column 'listener_id' is missing",
        "rename 'rater' to 'listener_id'",
    ),
    "semicolons_between_columns": (
        HEADER.replace(",", ";") + ROWS.replace(",", ";"),
        "'listener_id' and 'score' are missing",
        "separate columns by commas",
    ),
    "a_column_name_twice": (
        "wav_file_name,text,score,score,listener_id\n0.wav,a dog,5,5,l1\n",
        "a column name stands twice",
        "rename or remove one",
    ),
    "an_empty_file": ("", "is empty", "its first line must name the columns"),
    "a_header_alone": (HEADER, "has no ratings", "a row for each"),
    "a_field_too_many": (HEADER + "0.wav,a dog, wet,5,l1\n", "row 1: 5 fields", "double quotes"),
    "a_field_too_few": (HEADER + ROWS + "2.wav,a cat,5\n", "row 5: 3 fields", "4 are needed"),
    "an_open_quote": (HEADER + ROWS + '2.wav,"a cat,5,l1\n', "line 6", "check the double quotes"),
    "a_score_above_the_scale": (
        HEADER + ROWS + "2.wav,a cat,10.5,l1\n",
        "row 5: score 10.5 lies outside 0 to 10",
        "bring all to that scale",
    ),
    "a_score_below_the_scale": (
        HEADER + ROWS + "2.wav,a cat,-1,l1\n",
        "row 5: score -1.0 lies outside 0 to 10",
        "remove the row",
    ),
    "a_score_that_is_nan": (
        HEADER + ROWS + "2.wav,a cat,nan,l1\n",
        "row 5: score nan is not a finite number",
        "correct or remove the row",
    ),
    "a_score_that_is_infinite": (
        HEADER + ROWS + "2.wav,a cat,inf,l1\n",
        "row 5: score inf is not a finite number",
        "correct or remove the row",
    ),
    "a_decimal_comma": (
        HEADER + ROWS + '2.wav,a cat,"7,5",l1\n',
        "row 5: score '7,5' is not a number",
        "write it like 7.5",
    ),
    "a_word_for_a_score": (
        HEADER + ROWS + "2.wav,a cat,good,l1\n",
        "row 5: score 'good' is not a number",
        "write it like 7.5",
    ),
    "an_empty_score": (
        HEADER + ROWS + "2.wav,a cat,,l1\n",
        "row 5: score '' is not a number",
        "remove the row",
    ),
    "a_listener_who_rates_a_sound_twice": (
        HEADER + ROWS + "0.wav,a dog,7,l1\n",
        "row 5: listener_id 'l1', wav_file_name '0.wav' stands here a second time, after row 1",
        "keep one of the rows",
    ),
    "a_sound_with_two_texts": (
        HEADER + ROWS + "0.wav,a cat,7,l3\n",
        "row 5: wav_file_name '0.wav' has the text 'a cat', but 'a dog' in row 1",
        "give one of them another wav_file_name",
    ),
    "an_empty_listener": (
        HEADER + ROWS + "2.wav,a cat,5,\n",
        "row 5: listener_id is empty",
        "fill it in or remove the row",
    ),
    "a_listener_of_blanks": (
        HEADER + ROWS + "2.wav,a cat,5,  \n",
        "row 5: listener_id is empty",
        "fill it in or remove the row",
    ),
    "an_empty_file_name": (
        HEADER + ROWS + ",a cat,5,l1\n",
        "row 5: wav_file_name is empty",
        "fill it in or remove the row",
    ),
    "an_empty_text": (HEADER + ROWS + "2.wav,,5,l1\n", "row 5: text is empty", "fill it in"),
    "bytes_that_are_no_utf8": (
        (HEADER + ROWS).encode() + b"2.wav,caf\xe9,5,l1\n",
        "line 6 is not UTF-8",
        "save the file as UTF-8",
    ),
    "utf16_as_spreadsheets_write_it": (
        (HEADER + ROWS).encode("utf-16"),
        "is not UTF-8 but UTF-16",
        "save the file as UTF-8",
    ),
    "line_ends_of_old_macs": (
        (HEADER + ROWS).replace("\n", "\r"),
        "line 1: a carriage return stands alone",
        "save the file with LF or CRLF line ends",
    ),
    "a_file_name_that_leaves_its_folder": (
        HEADER + ROWS + "../2.wav,a cat,5,l1\n",
        "row 5: wav_file_name '../2.wav' must be a file name relative to its folder",
        "correct it or remove the row",
    ),
    "an_absolute_file_name": (
        HEADER + ROWS + "/tmp/2.wav,a cat,5,l1\n",
        "row 5: wav_file_name '/tmp/2.wav' must be a file name relative to its folder",
        "correct it or remove the row",
    ),
    "an_absolute_file_name_of_windows": (
        HEADER + ROWS + "C:\\2.wav,a cat,5,l1\n",
        "row 5: wav_file_name 'C:\\\\2.wav' must be a file name relative to its folder",
        "correct it or remove the row",
    ),
}


@pytest.mark.parametrize("command", [*COMMANDS, *REPORTS])
@pytest.mark.parametrize(("contents", "what", "remedy"), CASES.values(), ids=CASES.keys())
def test_bad_ratings_get_one_sentence_and_nothing_is_written(
    tmp_path, command, contents, what, remedy
):
    path = tmp_path / "ratings.csv"
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    out = tmp_path / ("out.json" if command in REPORTS else "out.csv")
    line = sentence(run(command, path, "-o", out))
    assert str(path) in line
    assert what in line
    assert remedy in line.split(what)[1]
    assert names(tmp_path) == ["ratings.csv"]


@pytest.mark.parametrize(("contents", "what", "remedy"), CASES.values(), ids=CASES.keys())
def test_bad_training_ratings_are_named_as_such(tmp_path, contents, what, remedy):
    good, train = tmp_path / "ratings.csv", tmp_path / "train.csv"
    good.write_text(HEADER + ROWS)
    train.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    out = tmp_path / "out.csv"
    line = sentence(run("standardize", good, "-o", out, "--statistics-from", train))
    assert str(train) in line
    assert what in line
    assert not out.exists()


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + ROWS)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path, command):
    out = tmp_path / "out.csv"
    line = sentence(run(command, tmp_path / "no.csv", "-o", out))
    assert f"{tmp_path / 'no.csv'} does not exist" in line
    (tmp_path / "folder.csv").mkdir()
    line = sentence(run(command, tmp_path / "folder.csv", "-o", out))
    assert f"{tmp_path / 'folder.csv'} is a folder: name a file" in line
    assert names(tmp_path) == ["folder.csv"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_equal_ratings_make_no_targets_of_zeros(tmp_path, suffix):
    path, out = tmp_path / f"ratings.{suffix}", tmp_path / f"targets.{suffix}"
    rows = [(f"{pair}.wav", f"l{who}", 7.0) for pair in range(5) for who in range(4)]
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    result = run("standardize", path, "-o", out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{path}: every listener gives one score to all of their pairs" in result.stderr
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_another_format_is_refused(tmp_path, command):
    path = tmp_path / "ratings.txt"
    path.write_text(HEADER + ROWS)
    line = sentence(run(command, path, "-o", tmp_path / "out.csv"))
    assert f"{path}: a table is read from .csv" in line


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs Linux's /proc")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_cannot_be_read_is_named(tmp_path, command):
    path = tmp_path / "ratings.csv"
    path.symlink_to("/proc/self/mem")  # opens, but its first bytes cannot be read
    assert f"{path} cannot be read" in sentence(run(command, path, "-o", tmp_path / "out.csv"))
    assert names(tmp_path) == ["ratings.csv"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_ratings_themselves_are_no_output(ratings, command):
    before = ratings.read_bytes()
    same = ratings.with_name("same.csv")
    same.symlink_to(ratings)
    for out in (ratings, ratings.parent / "." / "ratings.csv", same):
        line = sentence(run(command, ratings, "-o", out))
        assert "choose another output" in line
    assert ratings.read_bytes() == before
    assert names(ratings.parent) == ["ratings.csv", "same.csv"]


def test_the_training_ratings_are_no_output(ratings):
    train = ratings.with_name("train.csv")
    train.write_text(HEADER + ROWS)
    line = sentence(run("standardize", ratings, "-o", train, "--statistics-from", train))
    assert f"{train}" in line
    assert "choose another output" in line
    assert train.read_text() == HEADER + ROWS


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_cannot_be_is_refused_before_anything_is_made(ratings, command):
    folder = ratings.parent
    for out, what in (
        (folder, "is a folder: name a .csv "),
        (folder / "out.txt", "the output is a .csv "),
        (ratings / "out.csv", "is no folder: name another output"),
    ):
        assert what in sentence(run(command, ratings, "-o", out))
    assert names(folder) == ["ratings.csv"]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_older_output_stays_when_the_ratings_are_bad(ratings, command):
    out = ratings.with_name("out.csv")
    out.write_text("older\n")
    ratings.write_text(HEADER + ROWS + "2.wav,a cat,11,l1\n")
    sentence(run(command, ratings, "-o", out))
    assert out.read_text() == "older\n"


def parquet(path: Path, **columns: list[object]) -> Path:
    good = {
        "wav_file_name": ["0.wav", "0.wav", "1.wav"],
        "text": ["a dog", "a dog", "rain"],
        "score": [5.0, 6.0, 1.0],
        "listener_id": ["l1", "l2", "l1"],
    }
    pd.DataFrame(good | columns).to_parquet(path)
    return path


PARQUET_CASES = {
    "a_missing_column": (
        {"listener_id": None},
        "the column 'listener_id' is missing",
        "name the file that has it",
    ),
    "no_rows": (None, "has no ratings", "a row for each"),
    "an_empty_listener": ({"listener_id": ["l1", None, "l1"]}, "row 2: listener_id", "fill it in"),
    "a_blank_text": ({"text": ["a dog", "a dog", " "]}, "row 3: text is empty", "fill it in"),
    "a_score_off_the_scale": ({"score": [5.0, 11.0, 1.0]}, "row 2: score 11", "to that scale"),
    "a_score_that_is_nan": ({"score": [5.0, 6.0, float("nan")]}, "row 3: score nan", "remove"),
    "scores_as_text": ({"score": ["5", "6", "1"]}, "score is", "store it as a number"),
    "listeners_as_decimals": (
        {"listener_id": [1.0, 2.0, 1.0]},
        "listener_id is",
        "store it as text",
    ),
    "a_listener_who_rates_a_sound_twice": (
        {"listener_id": ["l1", "l1", "l1"]},
        "row 2",
        "keep one of the rows",
    ),
    "a_sound_with_two_texts": (
        {"text": ["a dog", "a cat", "rain"]},
        "row 2: wav_file_name '0.wav' has the text 'a cat', but 'a dog' in row 1",
        "give one of them another wav_file_name",
    ),
    "a_file_name_that_leaves_its_folder": (
        {"wav_file_name": ["0.wav", "0.wav", "a/../../1.wav"]},
        "row 3: wav_file_name 'a/../../1.wav' must be a file name relative to its folder",
        "correct it or remove the row",
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("change", "what", "remedy"), PARQUET_CASES.values(), ids=PARQUET_CASES.keys()
)
def test_bad_ratings_in_parquet_get_one_sentence_too(tmp_path, command, change, what, remedy):
    path = parquet(tmp_path / "ratings.parquet", **(change or {}))
    if change is None or None in change.values():
        frame = pd.read_parquet(path)
        drop = [name for name, values in (change or {}).items() if values is None]
        (frame if change else frame.iloc[:0]).drop(columns=drop).to_parquet(path)
    line = sentence(run(command, path, "-o", tmp_path / "out.parquet"))
    assert str(path) in line
    assert what in line
    assert remedy in line.split(what)[1]
    assert names(tmp_path) == ["ratings.parquet"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_parquet_file_that_is_none_is_named(tmp_path, command):
    path = tmp_path / "ratings.parquet"
    path.write_text(HEADER + ROWS)
    line = sentence(run(command, path, "-o", tmp_path / "out.parquet"))
    assert f"{path} is not a readable Parquet file" in line
    assert names(tmp_path) == ["ratings.parquet"]


def test_crlf_and_a_byte_order_mark_come_out_as_lf_without_one(ratings):
    out, plain = ratings.with_name("out.csv"), ratings.with_name("plain.csv")
    for command in COMMANDS:
        ratings.write_text(HEADER + ROWS)
        assert run(command, ratings, "-o", plain, "--overwrite").exit_code == 0
        ratings.write_bytes(b"\xef\xbb\xbf" + (HEADER + ROWS).replace("\n", "\r\n").encode())
        assert run(command, ratings, "-o", out, "--overwrite").exit_code == 0
        assert out.read_bytes() == plain.read_bytes()
        assert b"\r" not in out.read_bytes()


def test_kept_ratings_with_carriage_returns_in_a_text_can_be_read_again(ratings):
    out, again = ratings.with_name("out.csv"), ratings.with_name("again.csv")
    ratings.write_bytes(
        b'wav_file_name,text,score,listener_id\n0.wav,"a\r""b""",5,l1\n'
        b'0.wav,"a\r""b""",6,l2\n1.wav,"c\r\nd",0,l1\n1.wav,"c\r\nd",10,l2\n'
    )
    assert run("screen", ratings, "-o", out, "--method", "rating").exit_code == 0
    assert run("screen", out, "-o", again, "--published", "--tolerance", 0.5).exit_code == 2
    assert run("screen", out, "-o", again, "--published").exit_code == 0
    assert again.read_bytes() == out.read_bytes()
    assert delimited.read_rows(out)[1] == [
        ["0.wav", 'a\r"b"', "5", "l1"],
        ["0.wav", 'a\r"b"', "6", "l2"],
    ]


def test_further_columns_stay_in_kept_ratings_and_change_no_target(ratings):
    out, plain = ratings.with_name("out.csv"), ratings.with_name("plain.csv")
    assert run("standardize", ratings, "-o", plain).exit_code == 0
    lines = (HEADER + ROWS).splitlines()
    notes = ["note", "007", '"a, b"', "", "NA"]
    with_notes = "".join(f"{n},{line}\n" for n, line in zip(notes, lines, strict=True))
    ratings.write_text(with_notes)
    assert run("screen", ratings, "-o", out).exit_code == 0
    assert out.read_text() == with_notes
    assert run("standardize", ratings, "-o", out, "--overwrite").exit_code == 0
    assert out.read_bytes() == plain.read_bytes()
