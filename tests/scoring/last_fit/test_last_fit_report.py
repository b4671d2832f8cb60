"""What is said of a judge of the last fit."""

import pandas as pd
import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.last_fit import naming, report

PAIRS = {"wav_file_name": ["a.wav", "b.wav", "c.wav"], "text": ["x", "y", "z"]}
PACKAGING = Packaging(name="mine", version="1.0", license="mit", data="Ratings.", notes=())


def scores(**columns):
    return pd.DataFrame({**PAIRS, **columns})


def test_the_agreement_of_two_runs_is_by_pair():
    selection = scores(one=[1.0, 2.0, 3.0], two=[1.0, 2.0, 3.0])
    last = scores(one=[3.0, 5.0, 7.0], two=[3.0, 2.0, 1.0]).iloc[::-1]
    found = report.compare_runs(last, selection)
    # Ranks 1 2 3 both; means 5 and 2; stds 2 and 1.
    assert found["one"] == report.Agreement(srcc=1.0, shift=3.0, spread=2.0)
    assert found["two"] == report.Agreement(srcc=-1.0, shift=0.0, spread=1.0)


def test_runs_on_other_pairs_are_not_compared():
    other = scores(one=[1.0, 2.0, 3.0]).assign(wav_file_name=["a.wav", "b.wav", "d.wav"])
    with pytest.raises(SoundjudgeError, match="lacks 1 pairs of the selection run"):
        report.compare_runs(other, scores(one=[1.0, 2.0, 3.0]))


def test_the_report_says_first_that_no_test_is_left_and_whose_numbers_follow():
    table = scores(one=[1.0, 2.0, 3.0])
    text = report.report_text(table, table, {"test": 600, "train": 1600}, "# Agreement\n.702\n")
    assert text.startswith("# No honest test is left\n")
    assert ": test 600, train 1,600. Weights" in text
    assert "| one | 1.000 | +0.00 | 1.00 |" in text
    before, _, after = text.partition("# Of the selection run, not of this judge\n")
    assert ".702" in after
    assert ".702" not in before


def test_the_scores_of_a_run_are_both_splits_with_the_ensembles(tmp_path):
    for split, name in (("validation", "a.wav"), ("test", "b.wav")):
        path = tmp_path / "one" / f"{split}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"wav_file_name,text,pred_score\n{name},x,6.0\n")
    line = Calibration(method="linear", scores=(-1.0, 1.0), ratings=(0.0, 10.0))
    fitted = Ensemble(
        members=("one",), mean=(5.0,), std=(2.0,), weights=(1.0,), calibration=line,
        silent_score=0.0,
    )  # fmt: skip
    frame = report.read_scores(tmp_path, fitted, {"xacle/b.wav"})
    assert list(frame["one"]) == [6.0, 6.0]
    # (6 - 5) / 2 = .5 lies at 7.5; the second sound is silent.
    assert list(frame["ensemble"]) == pytest.approx([7.5, 0.0])


def test_name_data_and_note_tell_the_last_fit_from_the_selected_judge():
    final = naming.final_packaging(PACKAGING)
    assert (final.name, final.version) == ("mine-final", "1.0")
    assert final.data == "Ratings. Last fit: on all rated pairs, so that no honest test is left."
    assert naming.final_note("") == "all rated pairs, so that no honest test is left"
    assert naming.final_note("simulated ratings").startswith("simulated ratings, all rated pairs")
