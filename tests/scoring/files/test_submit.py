"""The challenge's format: what it would not accept is not written."""

from pathlib import Path

import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files import submission


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return write(
        tmp_path / "list.csv",
        'wav_file_name,text\n00002.wav,a dog\n00000.wav,"rain, then wind"\n00001.wav,a bell\n',
    )


def predictions(folder: Path, rows: str, header: str = "wav_file_name,text,pred_score") -> Path:
    return write(folder / "predictions.csv", f"{header}\n{rows}")


GOOD = '00000.wav,"rain, then wind",3.14159\n00001.wav,a bell,10.0\n00002.wav,a dog,0.005\n'
WITHOUT_SCORES = [f"{row.rpartition(',')[0]}, " for row in GOOD.splitlines()]


def test_a_submission_has_two_decimals_and_the_order_of_the_list(listed, tmp_path):
    out = tmp_path / "out.csv"
    summary = submission.write_system(predictions(tmp_path, GOOD), listed, out)
    assert summary == "3 rows, 0.01 to 10.00"
    assert out.read_text() == (
        "wav_file_name,pred_score\n00002.wav,0.01\n00000.wav,3.14\n00001.wav,10.00\n"
    )


def test_predictions_without_texts_are_joined_by_their_clips(listed, tmp_path):
    bare = predictions(
        tmp_path, "00000.wav,1\n00001.wav,2\n00002.wav,3\n", "wav_file_name,pred_score"
    )
    out = tmp_path / "out.csv"
    submission.write_system(bare, listed, out)
    scores = out.read_text().splitlines()[1:]
    assert scores == ["00002.wav,3.00", "00000.wav,1.00", "00001.wav,2.00"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ('00000.wav,"rain, then wind",3\n00001.wav,a bell,1\n', "lacks 1 pairs.*00002.wav"),
        (GOOD + "00003.wav,a cat,5\n", "has 1 pairs.*lacks.*00003.wav"),
        (GOOD + "00002.wav,a dog,7\n", "second time"),
        (GOOD.replace("10.0", ""), "row 2.*pred_score"),
        (GOOD.replace("10.0", "nan"), "row 2|pred_score"),
        (GOOD.replace("10.0", "10.01"), "00001.wav.*outside 0 to 10"),
        (GOOD.replace("10.0", "1.0").replace("3.14159", "0.3"), "within -1 to 1: calibrate"),
        (GOOD.replace("10.0", "-0.9").replace("3.14159", "0.3"), "within -1 to 1: calibrate"),
        ("".join(row[:-1] + "4\n" for row in WITHOUT_SCORES), "all 3 scores are 4.0: a constant"),
        (GOOD.replace("a bell", "a gong"), "lacks 1 pairs.*a bell"),
        ("", "no rows"),
    ],
)
def test_what_the_challenge_would_not_accept_is_refused(listed, tmp_path, rows, reason):
    out = tmp_path / "out.csv"
    with pytest.raises(SoundjudgeError, match=reason):
        submission.write_system(predictions(tmp_path, rows), listed, out)
    assert not out.exists()


def test_predictions_that_do_not_exist_are_named(listed, tmp_path):
    with pytest.raises(SoundjudgeError, match="nowhere.csv"):
        submission.write_system(tmp_path / "nowhere.csv", listed, tmp_path / "out.csv")


def test_ties_that_rounding_makes_are_counted(listed, tmp_path):
    rows = GOOD.replace("3.14159", "9.999").replace("10.0", "9.9951")
    _, summary = submission.system_rows(predictions(tmp_path, rows), listed)
    assert summary == "3 rows, 0.01 to 10.00; rounding ties 1 of 3 distinct scores"
    finer, summary = submission.system_rows(predictions(tmp_path, rows), listed, decimals=4)
    assert [score for _, score in finer] == ["0.0050", "9.9990", "9.9951"]
    assert "ties" not in summary


def test_scores_that_clipping_has_tied_are_counted(listed, tmp_path):
    rows = GOOD.replace("3.14159", "10.0")
    _, summary = submission.system_rows(predictions(tmp_path, rows), listed)
    tied = "2 are 10, the end of the scale, and share a rank"
    assert summary == f"3 rows, 0.01 to 10.00; {tied}"


def test_rounding_that_leaves_a_constant_is_refused(listed, tmp_path):
    rows = GOOD.replace("3.14159", "5.001").replace("10.0", "5.002").replace("0.005", "5.003")
    with pytest.raises(SoundjudgeError, match="with 2 decimals all 3 scores are 5.00, a constant"):
        submission.system_rows(predictions(tmp_path, rows), listed)
    finer, _ = submission.system_rows(predictions(tmp_path, rows), listed, decimals=3)
    assert [score for _, score in finer] == ["5.003", "5.001", "5.002"]
