"""The ablation: its trainings are stages with valid params, its workspaces change nothing else."""

from pathlib import Path

import pytest
import repository
import yaml
from repository import ROOT

from soundjudge import params
from soundjudge.fusion import fused_machine
from soundjudge.model.likelihood import likelihood
from soundjudge.training.caption import caption
from soundjudge.training.finetune import finetune
from soundjudge.training.pretrain import pretrain
from soundjudge.training.tune_clap import tune_clap

SECTIONS = {
    "tune_clap": ("tune_clap", tune_clap.TuneConfig),
    "caption": ("caption", caption.CaptionConfig),
    "likelihood": ("likelihood", likelihood.LikelihoodConfig),
    "fusion": ("fusion", fused_machine.FusionConfig),
    "pretrain captioned": ("pretrain.members.captioned", pretrain.PretrainMember),
    "finetune full1": ("finetune.members.full1", finetune.FinetuneMember),
}


ablation = repository.load_benchmark("ablation")


@pytest.mark.parametrize("name", ablation.TRAININGS)
def test_each_training_has_params_that_its_stage_accepts(name: str, tmp_path: Path) -> None:
    training = ablation.TRAININGS[name]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(ablation.change_params(repository.params(), training, 2)))
    section, cls = SECTIONS[training.command]
    params.load(section, cls, path)
    assert params.load(section, dict[str, object], path).get("seed", 2) == 2
    for key, value in training.changes.items():
        where = key if "." in key else f"{section}.{key}"
        assert params.load(where, object, path) == value


def test_a_training_reads_only_those_before_it_and_finds_both_starts() -> None:
    before: list[str] = []
    for name, training in ablation.TRAININGS.items():
        assert set(training.reads) <= set(before)
        if training.command.startswith("finetune"):
            commands = [ablation.TRAININGS[other].command for other in training.reads]
            assert {"caption", "pretrain captioned"} <= set(commands)
        before.append(name)


def test_every_row_is_scored_and_the_ensemble_is_made_of_rows() -> None:
    assert {name for name in ablation.SYSTEMS.values() if name} <= set(ablation.TRAININGS)
    assert set(ablation.ensemble_config().members.values()) <= set(ablation.SYSTEMS)


def test_a_room_links_what_it_shares_and_can_be_furnished_again(tmp_path: Path) -> None:
    start = tmp_path / "other/caption"
    for _ in range(2):
        ablation.set_up(
            tmp_path / "workspace",
            ablation.TRAININGS["pretrain"],
            1,
            {"checkpoints/caption": start},
        )
    assert (tmp_path / "workspace/checkpoints/caption").readlink() == start
    assert (tmp_path / "workspace/data").readlink() == ROOT / "data"
    encoder = repository.params()["encoders"]["audio"]
    assert (tmp_path / "workspace" / encoder).readlink() == ROOT / encoder


def test_a_room_replaces_no_file_that_is_not_its_own_link(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace/data").write_text("precious")
    with pytest.raises(FileExistsError):
        ablation.set_up(tmp_path / "workspace", ablation.TRAININGS["caption"], 1, {})
    assert (tmp_path / "workspace/data").read_text() == "precious"
