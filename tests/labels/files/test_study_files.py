"""Commands study and reliability, and the report of a screening: numbers, files, sentences."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import soundjudge
from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.files import screening_report
from soundjudge.labels.ratings import agreement_intervals
from soundjudge.runtime import artifacts


def ratings(pairs=40, listeners=14, careless=("l0", "l1")):
    """Nine of the listeners rate each pair; some rate at random."""
    rng = np.random.default_rng(0)
    rows = []
    for pair, truth in enumerate(rng.uniform(0, 10, pairs)):
        for who in rng.choice(listeners, 9, replace=False):
            score = rng.integers(0, 11) if f"l{who}" in careless else truth + rng.normal(0, 1)
            rows.append((f"{pair}.wav", f"l{who}", float(np.clip(np.rint(score), 0, 10))))
    return pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(screening_report, "RESAMPLES", 5)  # else seconds


@pytest.fixture
def without_pictures(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: Path(path).write_bytes(b""))


@pytest.fixture
def path(tmp_path):
    ratings().to_csv(tmp_path / "ratings.csv", index=False)
    return tmp_path / "ratings.csv"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.slow
def test_a_study_is_a_table_a_verdict_json_and_a_figure(path, tmp_path):
    out, plots = tmp_path / "study.json", tmp_path / "plots"
    words = ["study", path, "--splits", 4, "--resamples", 50]
    result = run(*words, "-o", out, "--plots", plots)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["screening", "target", "srcc"]
    assert len(lines) == 1 + 4 * 5 + 1
    written = json.loads(out.read_text())
    assert lines[-1] == f"verdict: {written['verdict']}"
    assert written["default"] == "listener/latent"
    assert written["study"]["splits"] == 4
    assert written["panel"]["listeners"] == 14
    assert len(written["candidates"]) == 20
    assert f"{written['candidates'][0]['srcc']:.4f}" == lines[1].split()[2]
    assert "other pairs and other listeners" in result.stderr
    assert "note: 14 listeners are few: where some are careless the intervals" in result.stderr
    assert written["notes"] == [result.stderr.splitlines()[0].removeprefix("note: ")]
    assert sorted(p.name for p in plots.iterdir()) == ["study.pdf", "study.png"]
    assert "exists already" in run(*words, "-o", out).stderr
    assert run(*words).stdout == result.stdout


@pytest.mark.slow
def test_reliability_prints_every_coefficient_with_its_interval(path, tmp_path):
    out = tmp_path / "reliability.json"
    result = run("reliability", path, "-o", out, "--resamples", 50, "--seed", 3)
    assert result.exit_code == 0, result.output
    expected = agreement_intervals.agreement_intervals(ratings(), resamples=50, seed=3)
    written = json.loads(out.read_text())
    for name, value in expected.items():
        assert written[name] == pytest.approx(value, rel=1e-5)
    line = next(line for line in result.stdout.splitlines() if line.startswith("alpha "))
    low, high = expected["alpha_lo"], expected["alpha_hi"]
    assert line == f"alpha {expected['alpha']:.4f} [{low:.4f}, {high:.4f}]"
    assert "listeners 14" in result.stdout.splitlines()
    assert "intervals of 50 resamples" in result.stderr  # said before the wait


@pytest.mark.slow
def test_the_library_reports_what_the_commands_write(path, tmp_path):
    of_study, of_listeners = tmp_path / "study.json", tmp_path / "reliability.json"
    run("study", path, "--splits", 3, "--resamples", 50, "--seed", 2, "-o", of_study)
    run("reliability", path, "--resamples", 50, "--seed", 2, "-o", of_listeners)
    result = soundjudge.study(ratings(), splits=3, resamples=50, seed=2)
    artifacts.write_json(tmp_path / "library.json", result.as_json())
    assert json.loads((tmp_path / "library.json").read_text()) == json.loads(of_study.read_text())
    numbers = soundjudge.reliability(ratings(), resamples=50, seed=2)
    artifacts.write_json(tmp_path / "numbers.json", numbers)
    written = json.loads(of_listeners.read_text())
    assert json.loads((tmp_path / "numbers.json").read_text()) == written
    assert (written["pairs"], written["listeners"]) == (40, 14)


@pytest.mark.slow
def test_the_library_takes_other_scales_and_refuses_bad_rows():
    five = ratings().assign(score=lambda frame: 1 + frame["score"] * 0.4)
    numbers = soundjudge.reliability(five, resamples=10, scale=(1, 5))
    assert numbers["floor_mse"] == pytest.approx(
        soundjudge.reliability(ratings(), resamples=10)["floor_mse"]
    )
    chosen = soundjudge.study(five, splits=2, resamples=10, scale=(1, 5))
    same = soundjudge.study(ratings(), splits=2, resamples=10)
    # Not equal: rounding breaks ties of mean ratings.
    assert chosen.table["srcc"].tolist() == pytest.approx(same.table["srcc"].tolist(), abs=0.01)
    bad = ratings().assign(score=11.0)
    for report in (soundjudge.study, soundjudge.reliability):
        with pytest.raises(SoundjudgeError, match="ratings.*11"):
            report(bad)
    alone = ratings().assign(listener_id=lambda frame: [str(row) for row in frame.index])
    with pytest.raises(SoundjudgeError, match="a listener_id of its own"):
        soundjudge.study(alone)


@pytest.mark.slow
def test_a_report_can_be_read_whatever_the_texts_hold(tmp_path, without_pictures):
    frame = ratings().assign(text=lambda rows: "a\rdog " + rows["wav_file_name"])
    frame.to_csv(tmp_path / "r.csv", index=False, quoting=csv.QUOTE_ALL)
    result = run("screen", tmp_path / "r.csv", "-o", tmp_path / "k.csv", "--report", tmp_path / "r")
    assert result.exit_code == 0, result.output
    dropped = pd.read_csv(tmp_path / "r/dropped.csv")
    assert set(dropped["listener_id"]) == {"l0", "l1"}
    assert (dropped["text"] == "a\rdog " + dropped["wav_file_name"]).all()


@pytest.mark.slow
def test_a_report_names_who_was_dropped_and_why_without_invented_columns(path, tmp_path):
    report = tmp_path / "report"
    result = run("screen", path, "-o", tmp_path / "kept.csv", "--report", report)
    assert result.exit_code == 0, result.output
    names = {p.name for p in report.iterdir()}
    figures = {f"{n}.{s}" for n in ("ratings", "listeners", "agreement") for s in ("png", "pdf")}
    assert names == figures | {"dropped.csv", "listeners.csv", "reliability.json"}
    dropped = pd.read_csv(report / "dropped.csv")
    assert set(dropped) == {*ratings().columns, "reason", "pair_lost"}
    assert set(dropped["listener_id"]) == {"l0", "l1"}
    assert set(dropped["reason"]) == {"careless"}
    listeners = pd.read_csv(report / "listeners.csv").set_index("listener_id")
    assert (listeners["verdict"] == "careless").sum() == 2
    assert not {"split", "model_id", "text"} & {*dropped, *listeners}
    kept = pd.read_csv(tmp_path / "kept.csv")
    assert len(kept) + len(dropped) == len(ratings())
    numbers = json.loads((report / "reliability.json").read_text())
    assert numbers["after"]["icc"] > numbers["before"]["icc_hi"]
    assert numbers["after"]["icc_lo"] < numbers["after"]["icc"]


def test_a_report_writes_over_nothing_unasked(path, tmp_path, without_pictures):
    report = tmp_path / "report"
    report.mkdir()
    (report / "mine.txt").write_text("mine")
    words = ["screen", path, "-o", tmp_path / "kept.csv", "--report", report]
    assert "is not empty: choose another folder, or --overwrite" in run(*words).stderr
    assert not (tmp_path / "kept.csv").exists()
    assert run(*words, "--overwrite").exit_code == 0
    assert (report / "mine.txt").read_text() == "mine"


def test_what_no_study_can_use_is_one_sentence(path, tmp_path):
    alone = ratings()
    alone["listener_id"] = [str(row) for row in range(len(alone))]
    alone.to_csv(tmp_path / "alone.csv", index=False)
    few = ratings()
    few[few["listener_id"].isin(["l0", "l1", "l2", "l3"])].to_csv(tmp_path / "few.csv", index=False)
    for name, what in (
        ("alone", "alone.csv: each of the 360 ratings has a listener_id of its own"),
        ("few", "needs 6 or more: there are 4"),
        ("missing", "missing.csv does not exist"),
    ):
        result = run("study", tmp_path / f"{name}.csv", "-o", tmp_path / "out.json")
        assert result.exit_code == 2
        assert what in result.stderr.splitlines()[-1]
    once = ratings().drop_duplicates("wav_file_name")
    once.to_csv(tmp_path / "once.csv", index=False)
    result = run("reliability", tmp_path / "once.csv")
    assert result.exit_code == 2
    assert "two ratings of one pair" in result.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.slow
def test_nested_panels_are_said_by_every_report(tmp_path):
    frame = ratings(careless=())
    other = frame.assign(
        wav_file_name="x" + frame["wav_file_name"], listener_id="x" + frame["listener_id"]
    )
    path = tmp_path / "nested.csv"
    pd.concat([frame, other]).to_csv(path, index=False)
    for words in (["study", "--splits", 2, "--resamples", 50], ["reliability", "--resamples", 50]):
        result = run(words[0], path, *words[1:])
        assert result.exit_code == 0, result.output
        assert "note: nested panels: no listener connects the 2 groups" in result.stderr
