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
