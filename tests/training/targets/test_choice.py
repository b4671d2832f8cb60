"""The target `auto`: chosen in stage standardize, learned by the trainings that ask for it."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from repository import ROOT, params, run_stage, write_params

from soundjudge import params as readers
from soundjudge.data.tables import tables
from soundjudge.doctor import sections
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.study.candidates import Candidate
from soundjudge.labels.study.choice import choice_record
from soundjudge.training.finetune.finetune import FinetuneMember
from soundjudge.training.targets.choice import resolve_target
from soundjudge.training.tune_clap.tune_clap import TuneConfig


def ratings(bias, count, seed=0):
    """Two splits of unclipped-looking ratings: listeners of very different level, or of none."""
    rng = np.random.default_rng(seed)
    rows = []
    for split in ("train", "validation"):
        truth = rng.uniform(3, 7, 100)
        for who in range(60 if split == "train" else 30):
            level = rng.choice([-bias, bias])
            for pair in rng.choice(100, count, replace=False):
                score = float(np.clip(truth[pair] + level + rng.normal(0, 0.7), 0, 10))
                name = f"{split}{pair}.wav"
                rows.append((name, name, f"{split}{who}", score, split))
    columns = ["wav_file_name", "text", "listener_id", "score", "split"]
    return pd.DataFrame(rows, columns=columns)


def standardize(folder, frame, target):
    for name in ("prepared", "screened"):
        tables.write_table(frame, folder / f"data/{name}/ratings.parquet", tables.RATINGS)
    write_params(folder, standardize__target=target)
    run_stage("standardize", folder=folder)
    return folder / "data/targets"


@pytest.mark.slow
def test_the_choice_and_its_table_are_outputs_of_the_stage(tmp_path):
    targets = standardize(tmp_path, ratings(bias=2.5, count=12), "auto")
    choice = json.loads((targets / "choice.json").read_text())
    details = json.loads((tmp_path / "metrics/details/standardize.json").read_text())
    assert {row["target"] for row in details["candidates"]} == {"mean", "spo_shrunken", "latent"}
    assert details["default"] == "listener/latent"
    assert details["panel"]["listeners"] == 60  # of train alone
    assert details["chosen"].split("/")[1].startswith(choice["target"])
    assert choice["verdict"] == details["verdict"]
    assert json.loads((tmp_path / "metrics/standardize.json").read_text())["verdict"]
    mean = next(row for row in details["candidates"] if row["target"] == "mean")
    assert mean["difference_hi"] < 0  # levels differ by 5 points: the mean is far worse
    assert resolve_target("auto", targets) == choice["target"] != "mean"


@pytest.mark.parametrize("target", ["mean", "spo", "spo_shrunken"])
def test_what_the_study_chooses_is_recorded_and_not_its_default(target):
    default, chosen = (Candidate(screening="listener", target=t) for t in ("latent", target))
    study = SimpleNamespace(default=default, chosen=chosen, verdict="so it is")
    record = choice_record(study)
    assert record == {"target": target.removesuffix("_shrunken"), "verdict": "so it is"}


@pytest.mark.slow
def test_without_auto_nothing_is_chosen_and_the_targets_are_the_same(tmp_path):
    frame = ratings(bias=0.5, count=12)
    plain = standardize(tmp_path / "plain", frame, None)
    chosen = standardize(tmp_path / "chosen", frame, "auto")
    assert not (plain / "choice.json").exists()
    for file in plain.iterdir():
        assert file.read_bytes() == (chosen / file.name).read_bytes()
    assert "verdict" not in json.loads((tmp_path / "plain/metrics/standardize.json").read_text())


def test_a_training_learns_the_chosen_target_or_the_one_it_names(tmp_path):
    (tmp_path / "choice.json").write_text('{"target": "spo"}')
    values = params(tune_clap__target="auto", finetune__members={"full1": {"target": "auto"}})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    file = tmp_path / "params.yaml"
    tuning = readers.load("tune_clap", TuneConfig, file)
    members = [readers.load(f"finetune.members.full{n}", FinetuneMember, file) for n in (1, 2)]
    assert tuning.with_choice(tmp_path).target == "spo"
    assert [m.with_choice(tmp_path).target for m in members] == ["spo", "spo"]
    named = readers.load("tune_clap", TuneConfig, ROOT / "params.yaml")
    assert named.with_choice(Path("no folder")) == named


def test_auto_without_a_choice_is_a_sentence_before_and_in_the_training(tmp_path):
    with pytest.raises(SoundjudgeError, match="set standardize.target to auto"):
        resolve_target("auto", tmp_path)
    write_params(tmp_path, tune_clap__target="auto")
    (problem,) = sections.find_problems(tmp_path / "params.yaml", ROOT)
    assert problem.startswith("tune_clap.target is auto, and standardize.target is null")
    write_params(tmp_path, tune_clap__target="auto", standardize__target="auto")
    assert not sections.find_problems(tmp_path / "params.yaml", ROOT)
