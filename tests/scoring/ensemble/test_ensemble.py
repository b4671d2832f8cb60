import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from repository import STAGES, write_params

from soundjudge.data.clips import clip_levels
from soundjudge.data.tables import tables
from soundjudge.errors import ParamsError, SoundjudgeError
from soundjudge.reporting.metrics import srcc
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import crossfit, ensemble, fit_report, intervals, panel, refits
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble, EnsembleConfig
from soundjudge.scoring.ensemble.folds import RatedScores


def config(*members, method="nnls", calibration="linear", folds=5):
    names = dict.fromkeys(members or ("a", "b"), "folder")
    return EnsembleConfig(
        members=names, method=method, calibration=calibration, folds=folds, seed=0
    )


def simulated(count=400, seed=0):
    """Ratings (N,) and three members (N, 3): a good, a noisy and a random one."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=count)
    rating = np.clip(5 + 2 * truth + 0.5 * rng.normal(size=count), 0, 10)
    noise = rng.normal(size=(count, 3))
    scores = np.stack(
        [truth + 0.5 * noise[:, 0], 100 + 10 * (truth + noise[:, 1]), noise[:, 2]], axis=1
    )
    return scores, rating


def test_equal_weights_by_hand():
    scores = np.array([[0.0, 10.0], [2.0, 30.0], [4.0, 20.0]])
    fitted = ensemble.fit_ensemble(scores, np.array([2.0, 6.0, 7.0]), config(method="mean"))
    assert fitted.mean == (2.0, 20.0)
    assert fitted.std == pytest.approx((8**0.5 / 3**0.5, 200**0.5 / 3**0.5))
    assert fitted.weights == (0.5, 0.5)
    # Standardized by 1.633 and 8.165, the blends are -1.2247, .6124, .6124: 2 and 6.5 on the line.
    assert ensemble.apply_ensemble(fitted, scores) == pytest.approx([2.0, 6.5, 6.5])


def test_the_better_member_weighs_more_and_no_weight_is_negative():
    scores, rating = simulated()
    fitted = ensemble.fit_ensemble(scores, rating, config("good", "noisy", "none"))
    assert sum(fitted.weights) == pytest.approx(1)
    assert min(fitted.weights) >= 0
    assert fitted.weights[0] > fitted.weights[1] > fitted.weights[2]
    assert srcc(ensemble.apply_ensemble(fitted, scores), rating) > srcc(scores[:, 0], rating)


def test_weights_are_those_of_non_negative_least_squares():
    scores, rating = simulated()
    scores[:, 2] = 3 * scores[:, 2] - rating  # would get a negative weight without the bound
    fitted = ensemble.fit_ensemble(scores, rating, config("good", "noisy", "against"))
    standard = (scores - scores.mean(0)) / scores.std(0)
    free = np.linalg.lstsq(standard[:, :2], rating - rating.mean(), rcond=None)[0]
    assert fitted.weights == pytest.approx([*(free / free.sum()), 0])


@pytest.mark.parametrize("method", ["mean", "kinds", "nnls", "ridge", "greedy", "best"])
def test_a_member_of_zero_weight_leaves_the_ensemble_of_the_others(method):
    scores, rating = simulated()
    whole = dataclasses.replace(
        config("good", "noisy", "none", method=method), zero_weight=("good",)
    )
    fitted = ensemble.fit_ensemble(scores, rating, whole)
    others = ensemble.fit_ensemble(scores[:, 1:], rating, config("noisy", "none", method=method))
    assert fitted.weights == (0, *others.weights)
    expected = ensemble.apply_ensemble(others, scores[:, 1:])
    assert ensemble.apply_ensemble(fitted, scores) == pytest.approx(expected)
    few = dataclasses.replace(whole, resamples=3)
    assert np.all(ensemble.weight_draws(scores, rating, few)[:, 0] == 0)


@pytest.mark.parametrize(
    ("weights", "least", "expected"),
    [
        ([0.5, 0.5], [0, 0], [0.5, 0.5]),
        ([0.0, 0.25, 0.75], [0.2, 0, 0], [0.2, 0.2, 0.6]),
        ([0.3, 0.7], [0.2, 0], [0.3, 0.7]),
        # Raising the first would push the second below its own.
        ([0.0, 0.3, 0.7], [0.5, 0.25, 0], [0.5, 0.25, 0.25]),
        ([1.0, 0.0], [0, 0.4], [0.6, 0.4]),
    ],
)
def test_no_weight_is_below_its_least_and_the_others_keep_their_proportions(
    weights, least, expected
):
    raised = ensemble.raise_weights(np.array(weights), np.array(least))
    np.testing.assert_allclose(raised, expected)


def test_a_member_that_validation_undervalues_has_its_least_weight():
    scores, rating = simulated()
    plain = config("good", "noisy", "none")
    free = np.array(ensemble.fit_ensemble(scores, rating, plain).weights)
    whole = dataclasses.replace(plain, least_weight={"none": 0.3}, resamples=3)
    fitted = ensemble.fit_ensemble(scores, rating, whole)
    assert fitted.weights[2] == 0.3 > free[2]
    assert fitted.weights[0] / fitted.weights[1] == pytest.approx(free[0] / free[1])
    assert (ensemble.weight_draws(scores, rating, whole)[:, 2] >= 0.3).all()
    pairs = RatedScores(scores=scores, rating=rating)
    alone = crossfit.compare_methods(pairs, whole)["member good"]
    assert alone == crossfit.compare_methods(pairs, plain)["member good"]


@pytest.mark.parametrize(
    ("least", "problem"),
    [
        ({"who": 0.2}, "least_weight names who, which is no member"),
        ({"a": 0.2}, "least_weight names a, which zero_weight names, too"),
        ({"b": 0.0}, "least_weight needs weights above 0 whose sum is below 1"),
        ({"b": 0.5, "c": 0.5}, "least_weight needs weights above 0 whose sum is below 1"),
    ],
)
def test_a_least_weight_that_cannot_be_is_refused(least, problem):
    with pytest.raises(SoundjudgeError, match=problem):
        dataclasses.replace(config("a", "b", "c"), zero_weight=("a",), least_weight=least)


def test_a_member_of_zero_weight_is_never_chosen():
    rng = np.random.default_rng(0)
    rating = rng.uniform(0, 10, 80)
    scores = np.stack([rating, rating + 4 * rng.normal(size=80)], axis=1)
    pairs = RatedScores(scores=scores, rating=rating)
    rules = dataclasses.replace(config("good", "noisy", method="auto"), zero_weight=("good",))
    fitted = crossfit.fit(pairs, rules)
    assert dict(zip(fitted.members, fitted.weights, strict=True)) == {"good": 0, "noisy": 1}


def test_a_member_of_zero_weight_is_compared_alone_all_the_same():
    scores, rating = simulated()
    pairs = RatedScores(scores=scores[:, :2], rating=rating)
    whole = dataclasses.replace(config("good", "noisy"), zero_weight=("good",))
    numbers = crossfit.compare_methods(pairs, whole)
    assert (
        numbers["member good"]
        == crossfit.compare_methods(pairs, config("good", "noisy"))["member good"]
    )
    assert numbers["nnls"] == pytest.approx(numbers["member noisy"])


@pytest.mark.parametrize("calibration", ["linear", "isotonic"])
def test_a_score_lies_on_the_scale_and_depends_on_no_other_pair(calibration):
    scores, rating = simulated()
    fitted = ensemble.fit_ensemble(scores, rating, config("a", "b", "c", calibration=calibration))
    extreme = np.concatenate([scores, [[99.0, 999.0, 99.0], [-99.0, -999.0, -99.0]]])
    together = ensemble.apply_ensemble(fitted, extreme)
    assert together.min() == 0
    assert together.max() == 10
    single = [ensemble.apply_ensemble(fitted, row[None])[0] for row in extreme]
    assert together == pytest.approx(single, abs=1e-12)
    assert ensemble.apply_ensemble(fitted, extreme[:0]).shape == (0,)


def test_an_ensemble_survives_its_json(tmp_path):
    scores, rating = simulated()
    fitted = ensemble.fit_ensemble(scores, rating, config("a", "b", "c", calibration="isotonic"))
    artifacts.write_json(tmp_path / "e.json", dataclasses.asdict(fitted), digits=None)
    assert ensemble.read_ensemble(tmp_path / "e.json") == fitted
    values = artifacts.read_json(tmp_path / "e.json")
    del values["weights"]
    artifacts.write_json(tmp_path / "e.json", values, digits=None)
    with pytest.raises(ParamsError, match=r"e\.json\.weights is missing"):
        ensemble.read_ensemble(tmp_path / "e.json")


def test_what_cannot_be_combined_is_refused():
    scores, rating = simulated()
    with pytest.raises(SoundjudgeError, match="member b gives every pair the same score"):
        ensemble.fit_ensemble(np.stack([rating, rating * 0 + 0.1], axis=1), rating, config())
    with pytest.raises(SoundjudgeError, match="no member's scores rise"):
        ensemble.fit_ensemble(-rating[:, None], rating, config("a"))
    with pytest.raises(SoundjudgeError, match="at least one"):
        EnsembleConfig(members={}, method="mean", calibration="linear", folds=5, seed=0)
    for names, problem in ((("c",), "names c, which is no member"), (("a", "b"), "every member")):
        with pytest.raises(SoundjudgeError, match=f"zero_weight .*{problem}|zero_weight {problem}"):
            dataclasses.replace(config(), zero_weight=names)
    with pytest.raises(SoundjudgeError, match="'ceiling'"):
        config("ceiling")
    with pytest.raises(SoundjudgeError, match="'../x'"):
        config("../x")
    with pytest.raises(SoundjudgeError, match="2 or more"):
        config("a", folds=1)
    with pytest.raises(SoundjudgeError, match="kinds names b, which is no member"):
        dataclasses.replace(config("a"), kinds={"b": "clap"})
    with pytest.raises(SoundjudgeError, match="resamples is 0"):
        dataclasses.replace(config("a"), resamples=0)
    line = Calibration(method="linear", scores=(0.0, 1.0), ratings=(0.0, 1.0))
    single = Ensemble(members=("a",), mean=(0.0,), std=(1.0,), weights=(1.0,), calibration=line)
    with pytest.raises(AssertionError, match="a column per member"):
        ensemble.apply_ensemble(single, scores)
    with pytest.raises(SoundjudgeError, match="one entry per member"):
        dataclasses.replace(single, weights=(0.5, 0.5))


def write(folder, member, split, scores, names=None):
    names = names or [f"{split}{i}.wav" for i in range(len(scores))]
    frame = pd.DataFrame({"wav_file_name": names, "text": "t", "pred_score": scores})
    tables.write_table(frame, folder / member / f"{split}.csv", tables.PREDICTIONS)


def rated_table(frame, generators="g"):
    pairs = frame[["wav_file_name", "text"]]
    return pairs.assign(split="validation", model_id=generators)


def test_members_are_joined_by_pair_and_not_by_row(tmp_path):
    write(tmp_path, "a", "test", [1.0, 2.0], ["x", "y"])
    write(tmp_path, "b", "test", [20.0, 10.0], ["y", "x"])
    assert panel.read_panel(tmp_path, ["a", "b"], "test")[["a", "b"]].values.tolist() == [
        [1.0, 10.0],
        [2.0, 20.0],
    ]


def test_a_missing_member_is_an_error_and_other_pairs_are_too(tmp_path):
    write(tmp_path, "a", "test", [1.0, 2.0], ["x", "y"])
    with pytest.raises(SoundjudgeError, match=r"b/test\.csv is missing.*ensemble\.members"):
        panel.read_panel(tmp_path, ["a", "b"], "test")
    write(tmp_path, "b", "test", [20.0, 10.0], ["y", "z"])
    with pytest.raises(SoundjudgeError, match="lacks 1 pairs .*'x'.*; 1 others .*'z'"):
        panel.read_panel(tmp_path, ["a", "b"], "test")


def test_a_target_without_a_prediction_is_an_error():
    scores = pd.DataFrame({"wav_file_name": ["x"], "text": "t", "a": [1.0]})
    targets = pd.DataFrame({"wav_file_name": ["x", "y"], "text": "t", "mean_score": [1.0, 2.0]})
    with pytest.raises(SoundjudgeError, match="rated pair of y"):
        panel.rated_scores(scores, targets, rated_table(scores), ["a"])


@pytest.fixture
def stage(in_folder, monkeypatch):
    """The stage in a folder with two members' predictions, and those of one since removed."""
    monkeypatch.syspath_prepend(str(STAGES))
    monkeypatch.delitem(sys.modules, "ensemble", raising=False)
    import ensemble as script

    scores, rating = simulated(40)
    members = Path("data/predictions/members")
    for k, name in enumerate(["good", "noisy"]):
        write(members, name, "validation", scores[:, k])
        write(members, name, "test", scores[:5, k])
    write(members, "old", "test", scores[:5, 2])
    targets = pd.DataFrame(
        {"wav_file_name": [f"validation{i}.wav" for i in range(38)], "text": "t"}
    ).assign(
        mean_score=rating[:38],
        spo_score=0.0,
        latent_score=5.0,
        latent_se=1.0,
        ratings=4,
        split="validation",
    )
    levels = clip_levels.ClipLevels(
        silence_dbfs=-60.0, level_dbfs=None, silent=("xacle/test1.wav",)
    )
    clip_levels.write_levels(Path("data/prepared"), levels)
    for split in ("train", "validation"):
        tables.write_table(targets, Path(f"data/targets/{split}.csv"), tables.TARGETS)
    rated = rated_table(
        pd.DataFrame({"wav_file_name": [f"validation{i}.wav" for i in range(40)], "text": "t"})
    )
    tables.write_table(rated, Path("data/prepared/rated.parquet"), tables.RATED)
    chosen = {"method": "nnls", "calibration": "linear", "folds": 5, "folds_by": "none"}
    chosen["silent_score"] = 0.25
    write_params(Path(), ensemble=chosen)
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["ensemble"]["members"] = {"good": "regress", "noisy": "y"}
    values["ensemble"] |= {"zero_weight": [], "least_weight": {}}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    return script


def test_the_stage_combines_named_members_and_names_unknown_ones(stage, caplog):
    scores, rating = simulated(40)
    with caplog.at_level(logging.WARNING):
        stage.main()

    assert "members/old is no member" in caplog.text
    fitted = ensemble.read_ensemble(Path("checkpoints/ensemble.json"))
    assert fitted.members == ("good", "noisy")
    learned = intervals.read_intervals(Path("data/predictions/ensemble/intervals.json"))
    assert learned.coverage == 0.9
    files = sorted(Path("data/predictions/ensemble").glob("*.csv"))
    predictions = {path.stem: tables.read_table(path, tables.PREDICTIONS) for path in files}
    assert list(predictions) == ["test", "validation", "validation_crossfitted"]
    expected = ensemble.apply_ensemble(fitted, scores[:, :2])
    written = predictions["validation"]["pred_score"].to_numpy()
    np.testing.assert_allclose(written, expected, rtol=0, atol=1e-7)  # nine digits
    test = [expected[0], 0.25, *expected[2:5]]  # the second sound is silent
    assert predictions["test"]["pred_score"].tolist() == pytest.approx(test, abs=1e-7)
    crossfitted = predictions["validation_crossfitted"]["pred_score"].to_numpy()
    assert (crossfitted[:38] != written[:38]).all()
    assert (crossfitted[38:] == written[38:]).all()  # screened away: in no fit
    report = fit_report.read_report(Path("metrics/details/ensemble.json"))
    assert (report.note, report.method, report.refitted) == ("simulated ratings", "nnls", ())
    assert report.members == ("good", "noisy")
    assert report.crossfitted["srcc"] == pytest.approx(srcc(crossfitted[:38], rating[:38]))
    assert report.methods["nnls"] == report.crossfitted
    assert set(report.methods) == {*crossfit.CHOICES, "member good", "member noisy"}
    for name, weight in zip(fitted.members, fitted.weights, strict=True):
        low, high = report.weight_intervals[name]
        assert low < weight < high


@pytest.mark.slow
def test_refits_replace_the_scores_of_their_member_where_a_generator_is_held_out(stage):
    path = Path("data/prepared/rated.parquet")
    rated = tables.read_table(path, tables.RATED).assign(model_id=["g", "h"] * 20)
    tables.write_table(rated, path, tables.RATED)
    params = Path("params.yaml")
    values = yaml.safe_load(params.read_text())
    values["ensemble"]["folds_by"] = "generator"
    params.write_text(yaml.safe_dump(values))
    stage.main()
    details = Path("metrics/details/ensemble.json")
    plain = fit_report.read_report(details)
    weights = artifacts.read_json(Path("checkpoints/ensemble.json"))

    # Without g the good member knows nothing: it scores all pairs by chance.
    refit = rated[["wav_file_name", "text"]].assign(generator="g")
    refit["pred_score"] = np.random.default_rng(9).normal(size=40)
    tables.write_table(refit, Path("data/predictions/members/refit/regress.csv"), refits.REFITS)
    values["refit"]["members"] = ["regress"]
    params.write_text(yaml.safe_dump(values))
    stage.main()
    report = fit_report.read_report(details)
    assert (plain.refitted, report.refitted) == ((), ("good",))
    assert report.crossfitted["srcc"] < plain.crossfitted["srcc"] - 0.05
    assert artifacts.read_json(Path("checkpoints/ensemble.json")) == weights
