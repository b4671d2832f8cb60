"""The challenge's format, and the joins that it and every comparison stand on."""

from pathlib import Path

import pandas as pd
import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.files import comparison, prediction_files, submission


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


def test_a_submission_has_two_decimals_and_the_order_of_the_list(listed, tmp_path):
    out = tmp_path / "out.csv"
    rows = submission.write_submission(predictions(tmp_path, GOOD), listed, out)
    assert rows == 3
    assert out.read_text() == (
        "wav_file_name,pred_score\n00002.wav,0.01\n00000.wav,3.14\n00001.wav,10.00\n"
    )


def test_predictions_without_texts_are_joined_by_their_clips(listed, tmp_path):
    bare = predictions(
        tmp_path, "00000.wav,1\n00001.wav,2\n00002.wav,3\n", "wav_file_name,pred_score"
    )
    out = tmp_path / "out.csv"
    submission.write_submission(bare, listed, out)
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
        (GOOD.replace("a bell", "a gong"), "lacks 1 pairs.*a bell"),
        ("", "no rows"),
    ],
)
def test_what_the_challenge_would_not_accept_is_refused(listed, tmp_path, rows, reason):
    out = tmp_path / "out.csv"
    with pytest.raises(ValueError, match=reason):
        submission.write_submission(predictions(tmp_path, rows), listed, out)
    assert not out.exists()


def test_predictions_that_do_not_exist_are_named(listed, tmp_path):
    with pytest.raises(ValueError, match="nowhere.csv"):
        submission.write_submission(tmp_path / "nowhere.csv", listed, tmp_path / "out.csv")


def test_one_clip_with_two_texts_is_told_apart_only_by_its_texts():
    left = pd.DataFrame({"wav_file_name": ["a", "a"], "text": ["x", "y"], "pred_score": [1.0, 2.0]})
    right = left.iloc[::-1].rename(columns={"pred_score": "average_score"})
    joined = matching.match_pairs(left, right, "left", "right")
    assert joined["pred_score"].tolist() == [2.0, 1.0]
    with pytest.raises(SoundjudgeError, match="a twice"):
        matching.match_pairs(left.drop(columns="text"), right, "left", "right")


def test_evaluation_gives_the_four_numbers_worked_out_by_hand(tmp_path):
    reference = write(
        tmp_path / "average.csv",
        "wav_file_name,text,average_score\na,x,1\nb,x,2\nc,x,3\nd,x,4\n",
    )
    guess = write(tmp_path / "guess.csv", "wav_file_name,pred_score\nd,4\nc,2\nb,3\na,1\n")
    found = comparison.evaluate_files(guess, reference, None, resamples=200, seed=0)
    # ranks 1 3 2 4 against 1 2 3 4: 1 - 6 * 2 / (4 * 15) = .8; pairs: 5 agree, 1 does not
    assert found["srcc"] == pytest.approx(0.8)
    assert found["lcc"] == pytest.approx(0.8)
    assert found["ktau"] == pytest.approx(4 / 6)
    assert found["mse"] == pytest.approx(0.5)
    assert found["n"] == 4
    assert found["srcc_lo"] <= 0.8 <= found["srcc_hi"]


def test_evaluation_needs_ratings_of_every_evaluated_clip(tmp_path):
    reference = write(tmp_path / "average.csv", "wav_file_name,average_score\na,1\nb,2\n")
    guess = write(tmp_path / "guess.csv", "wav_file_name,pred_score\na,1\nb,2\n")
    ratings = write(
        tmp_path / "ratings.csv", "wav_file_name,text,score,listener_id\na,x,1,l\na,x,2,m\n"
    )
    with pytest.raises(ValueError, match="no rating of 1 clips.*is b"):
        comparison.evaluate_files(guess, reference, ratings, resamples=100, seed=0)


def test_a_reference_may_be_the_pipelines_own_targets(tmp_path):
    targets = write(
        tmp_path / "targets.csv",
        "wav_file_name,text,mean_score,spo_score,ratings\na,x,1,0,4\nb,x,2,0,4\nc,x,4,0,4\n",
    )
    assert prediction_files.read_reference(targets)["average_score"].tolist() == [1.0, 2.0, 4.0]
    with pytest.raises(SoundjudgeError, match="no column average_score"):
        prediction_files.read_reference(write(tmp_path / "other.csv", "wav_file_name,score\na,1\n"))


def test_a_system_does_not_differ_from_itself(tmp_path):
    rows = "".join(f"{n},{(7 * n) % 11}\n" for n in range(11))
    reference = write(tmp_path / "average.csv", f"wav_file_name,average_score\n{rows}")
    guess = "".join(f"{n},{(5 * n + 3) % 11}\n" for n in range(11))
    one = write(tmp_path / "one.csv", f"wav_file_name,pred_score\n{guess}")
    found = comparison.compare_files(one, one, reference, resamples=200, seed=0)
    assert found["difference"] == 0
    assert found["p_bootstrap"] == pytest.approx(1.0)
