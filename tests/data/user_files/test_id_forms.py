"""One file under two paths, and ids that a spreadsheet shortened, are refused with the rows."""

import pytest

from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.library import RATINGS


def ratings(path, names=("a/0.wav",), listeners=("l1",)):
    rows = [f"{name},x,5,{listener}" for name in names for listener in listeners]
    path.write_text("wav_file_name,text,score,listener_id\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("other", ["./a/0.wav", "a//0.wav", "a\\0.wav", "a/./0.wav", ".\\A\\0.WAV"])
def test_two_paths_of_one_file_are_refused_with_both_and_their_rows(tmp_path, other):
    path = ratings(tmp_path / "r.csv", names=("b/0.wav", "a/0.wav", other))
    with pytest.raises(SoundjudgeError) as error:
        read_user_table(path, RATINGS)
    words = str(error.value)
    assert words.startswith(f"{path}, row 3: wav_file_name {other!r} and 'a/0.wav' in row 2")
    assert words.endswith("are one file: write both in one way")


def test_files_of_different_folders_are_different_files(tmp_path):
    path = ratings(tmp_path / "r.csv", names=("0.wav", "a/0.wav", "a/b/0.wav", "a/0.wavs"))
    assert len(read_user_table(path, RATINGS)) == 4


@pytest.mark.parametrize("listener", ["1.23457E+16", "1E+05", "6E+123"])
def test_an_id_that_a_spreadsheet_shortened_is_refused(tmp_path, listener):
    path = ratings(tmp_path / "r.csv", listeners=("l1", listener))
    with pytest.raises(SoundjudgeError, match=r"row 2: .* spreadsheet shortened, .* as text"):
        read_user_table(path, RATINGS)


def test_ids_that_only_look_like_numbers_are_taken(tmp_path):
    listeners = ("5e1234567890abcdef", "1e5", "E+05", "1.5", "2E5")
    path = ratings(tmp_path / "r.csv", listeners=listeners)
    assert read_user_table(path, RATINGS)["listener_id"].tolist() == list(listeners)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1000", "1e3"),
        ("1", "+1"),
        ("7", "\u0667"),  # an Arabic-Indic digit
        ("1.5", "1.50"),
        ("0", "-0"),
        ("1", "0" * 30 + "1"),
        ("12345678901234567", "12345678901234567.0"),
    ],
)
def test_two_ways_of_writing_one_number_are_one_listener_and_refused(tmp_path, one, other):
    path = ratings(tmp_path / "r.csv", listeners=("l1", one, other))
    with pytest.raises(SoundjudgeError) as error:
        read_user_table(path, RATINGS)
    assert str(error.value) == (
        f"{path}, row 3: listener_id {other!r} and {one!r} in row 2 are one number: write both in "
        "one way"
    )


def test_numbers_that_differ_in_their_last_digit_are_two_listeners(tmp_path):
    listeners = ["1" * 39 + "1", "1" * 39 + "2", "-1", "1", "1e999", "1e998", "1,000", "1/1"]
    path = ratings(tmp_path / "r.csv", listeners=[f'"{listener}"' for listener in listeners])
    assert read_user_table(path, RATINGS)["listener_id"].tolist() == listeners


@pytest.mark.parametrize("word", ["NA", "nan", "NaN", "None", "null", "N/A", "#N/A", "<NA>", "NaT"])
@pytest.mark.parametrize("column", ["listener_id", "wav_file_name"])
def test_a_word_for_an_empty_cell_is_nobody_and_no_file(tmp_path, word, column):
    change = {"listeners": ("l1", word)} if column == "listener_id" else {"names": ("0", word)}
    path = ratings(tmp_path / "r.csv", **change)
    with pytest.raises(SoundjudgeError, match=rf"row 2: {column} '{word}' stands for an empty"):
        read_user_table(path, RATINGS)


@pytest.mark.parametrize("stem", ["a/0", "a/0.take", "0"])
def test_a_name_with_and_without_its_suffix_is_one_file(tmp_path, stem):
    path = ratings(tmp_path / "r.csv", names=("1.wav", f"{stem}.wav", stem))
    with pytest.raises(SoundjudgeError, match=rf"row 3: .*'{stem}' and '{stem}.wav' in row 2 are"):
        read_user_table(path, RATINGS)


def test_names_of_two_formats_and_names_with_dots_are_different_files(tmp_path):
    names = ["0.wav", "0.flac", "v1", "v1.2", "v1.20", "a.b", "a"]
    path = ratings(tmp_path / "r.csv", names=names)
    assert read_user_table(path, RATINGS)["wav_file_name"].tolist() == names


def test_a_dot_at_the_end_of_a_name_makes_no_second_file(tmp_path):
    path = ratings(tmp_path / "r.csv", names=("0.wav", "0.wav."))
    with pytest.raises(SoundjudgeError, match="row 2: .* are one file"):
        read_user_table(path, RATINGS)
