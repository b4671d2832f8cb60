"""The ablation: its trainings are stages with valid params, and its rooms touch nothing of ours."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from repository import ROOT

from soundjudge import params
from soundjudge.training import caption, finetune, pretrain, tune_clap

SECTIONS = {
    "tune_clap": ("tune_clap", tune_clap.TuneConfig),
    "caption": ("caption", caption.CaptionConfig),
    "pretrain": ("pretrain", pretrain.PretrainConfig),
    "finetune full1": ("finetune.members.full1", finetune.FinetuneMember),
}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ablation", ROOT / "benchmarks/ablation.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["ablation"] = module
    spec.loader.exec_module(module)
    return module


ablation = load()


def the_params() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ablation.TRAININGS)
def test_each_training_has_params_that_its_stage_accepts(name: str, tmp_path: Path) -> None:
    training = ablation.TRAININGS[name]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(ablation.changed(the_params(), training, 2)))
    section, wanted = SECTIONS[training.command]
    made = params.load(section, wanted, path)
    assert made.seed == 2
    assert all(getattr(made, key) == value for key, value in training.changes.items())


def test_a_training_reads_only_those_before_it_and_finds_both_starts() -> None:
    before: list[str] = []
    for name, training in ablation.TRAININGS.items():
        assert set(training.reads) <= set(before)
        if training.command.startswith("finetune"):
            read = [ablation.TRAININGS[other].command for other in training.reads]
            assert sorted(read) == ["pretrain", "caption"]
        before.append(name)


def test_every_row_is_scored_and_the_ensemble_is_made_of_rows() -> None:
    assert {name for name in ablation.SYSTEMS.values() if name} <= set(ablation.TRAININGS)
    assert {ablation.SPO, ablation.REGRESSOR, ablation.FULL} <= set(ablation.SYSTEMS)


def test_a_room_links_what_it_shares_and_can_be_furnished_again(tmp_path: Path) -> None:
    start = tmp_path / "other/caption"
    for _ in range(2):
        ablation.furnish(
            tmp_path / "room", ablation.TRAININGS["pretrain"], 1, {"checkpoints/caption": start}
        )
    assert (tmp_path / "room/checkpoints/caption").readlink() == start
    assert (tmp_path / "room/data").readlink() == ROOT / "data"
    encoder = the_params()["encoders"]["beats"]
    assert (tmp_path / "room" / encoder).readlink() == ROOT / encoder


def test_a_room_replaces_no_file_that_is_not_its_own_link(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room/data").write_text("precious")
    with pytest.raises(FileExistsError):
        ablation.furnish(tmp_path / "room", ablation.TRAININGS["caption"], 1, {})
    assert (tmp_path / "room/data").read_text() == "precious"
