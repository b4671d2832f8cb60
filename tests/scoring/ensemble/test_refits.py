"""Refits without each generator: which pairs they learn, by which script, and how they are read."""

from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import panel, refits
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig

NAMES = ["a.wav", "b.wav", "c.wav", "d.wav"]
RATED = pd.DataFrame(
    {
        "wav_file_name": [*NAMES, "v.wav", "w.wav"],
        "text": "x",
        "split": ["train"] * 4 + ["validation"] * 2,
        "model_id": ["g", "h", "g", None, "g", "i"],
    }
)
TRAIN = pd.DataFrame(
    {
        "wav_file_name": NAMES, "text": "x", "mean_score": [1.0, 2.0, 3.0, 4.0], "spo_score": 0.0,
        "latent_score": 5.0, "latent_se": 1.0, "ratings": 4, "split": "train",
    }
)  # fmt: skip
PANEL = RATED.loc[RATED["split"] == "validation", ["wav_file_name", "text"]].set_axis([7, 9])


def test_a_generator_of_both_splits_is_left_out_and_pairs_without_one_stay():
    ((generator, others),) = refits.held_out_generators(TRAIN, RATED)
    assert generator == "g"
    assert list(others["wav_file_name"]) == ["b.wav", "d.wav"]


def test_generators_that_train_does_not_have_need_no_refit(tmp_path):
    rated = RATED.assign(model_id=["g", "h", "g", None, "i", "j"])
    assert list(refits.held_out_generators(TRAIN, rated)) == []
    tables.write_table(refits.join_refits([]), tmp_path / "refit/regress.csv", refits.REFITS)
    assert refits.read_refits(tmp_path, {"svr": "regress"}, ("regress",), PANEL) == {}


def test_where_all_training_pairs_are_from_one_generator_nothing_can_be_refitted():
    with pytest.raises(SoundjudgeError, match="all training pairs are from g"):
        list(refits.held_out_generators(TRAIN, RATED.assign(model_id="g")))


@pytest.mark.parametrize(
    ("member", "command"),
    [
        ("regress", ["stages/regress.py", "w/targets", "w/checkpoint"]),
        ("fusion", ["stages/fusion.py", "w/targets", "w/checkpoint"]),
        ("clapscore", ["final/tune_clap.py", "w/targets", "w/checkpoint", "w/history.csv"]),
        (
            "finetune/a",
            ["final/finetune.py", "a", "w/targets", "w/checkpoint", "w/history.csv"],
        ),
    ],
)
def test_a_member_is_refitted_by_the_script_that_fits_it(member, command):
    assert refits.fit_command(member, Path("w")) == command
    assert (ROOT / command[0]).is_file()
    assert refits.RefitConfig(members=(member,)).members == (member,)


def test_what_learns_no_rating_is_not_refitted():
    with pytest.raises(
        SoundjudgeError, match="'likelihood', no training on ratings: there are regress"
    ):
        refits.RefitConfig(members=("likelihood",))


def test_a_folder_of_targets_has_the_scale_and_the_choice_of_its_source_and_no_validation(tmp_path):
    source = tmp_path / "source"
    for name in ("global.json", "choice.json", "validation.csv"):
        artifacts.write_json(source / name, {"mean": 7.0})
    refits.write_targets(tmp_path / "new", source, TRAIN[1:])
    files = {path.name for path in (tmp_path / "new").iterdir()}
    assert files == {"train.csv", "global.json", "choice.json"}
    assert artifacts.read_json(tmp_path / "new/global.json") == {"mean": 7.0}
    kept = tables.read_table(tmp_path / "new/train.csv", tables.TARGETS)
    assert list(kept["wav_file_name"]) == NAMES[1:]


def write(folder, checkpoint, **scores):
    parts = [RATED[4:].assign(generator=g, pred_score=s)[::-1] for g, s in scores.items()]
    table = pd.concat(parts)[list(refits.REFITS.columns)]
    tables.write_table(table, folder / f"refit/{checkpoint}.csv", refits.REFITS)


def test_refits_are_columns_of_the_members_with_that_checkpoint_in_the_rows_of_the_panel(tmp_path):
    write(tmp_path, "regress", g=[1.0, 2.0], h=[3.0, 4.0])
    write(tmp_path, "finetune/a", g=[5.0, 6.0], h=[7.0, 8.0])
    write(tmp_path, "fusion", g=[0.0, 0.0])  # of an earlier run
    members = {"svr": "regress", "again": "regress", "lm": "finetune/a", "f": "fusion"}
    found = refits.read_refits(tmp_path, members, ("regress", "finetune/a"), PANEL)
    assert list(found) == ["g", "h"]
    expected = pd.DataFrame(
        {"svr": [1.0, 2.0], "again": [1.0, 2.0], "lm": [5.0, 6.0]}, index=[7, 9]
    )
    pd.testing.assert_frame_equal(found["g"], expected)
    assert refits.read_refits(tmp_path, members, (), PANEL) == {}


def test_the_folder_of_refits_is_no_forgotten_member(tmp_path):
    write(tmp_path, "regress", g=[1.0, 2.0])
    (tmp_path / "old").mkdir()
    assert panel.unknown_members(tmp_path, ["svr"]) == ["old"]
    with pytest.raises(SoundjudgeError, match="'refit'"):
        EnsembleConfig(members={"refit": "regress"}, method="mean", calibration="linear")


def test_refits_of_other_pairs_are_refused(tmp_path):
    write(tmp_path, "regress", g=[1.0, 2.0])
    other = PANEL.assign(wav_file_name=["v.wav", "z.wav"])
    with pytest.raises(SoundjudgeError, match=r"regress\.csv"):
        refits.read_refits(tmp_path, {"svr": "regress"}, ("regress",), other)
