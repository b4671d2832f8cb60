"""The last fit as a pipeline of its own: what it may read, and that nothing reads from it."""

import ast
import re
import shutil

import pytest
import yaml
from repository import ROOT
from test_pipeline import closure
from test_reruns import Pipeline, pipeline

from soundjudge import params
from soundjudge.doctor import sections

FOLDER = ROOT / "final"
FINAL = yaml.safe_load((FOLDER / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in FINAL.items()}
SCRIPTS = {
    name: ROOT / stage["cmd"].split()[1]
    for name, stage in STAGES.items()
    if stage["cmd"].startswith("python ")
}
PREFIX = "final/dvc.yaml:"
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def outputs(stage: dict) -> list[str]:
    return [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"]]


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Pipeline:
    """The graph of the repository's pipeline and of the last fit."""
    folder = tmp_path_factory.mktemp("both")
    shutil.copytree(FOLDER, folder / "final", ignore=shutil.ignore_patterns("__pycache__"))
    return pipeline(folder)


def test_no_stage_of_the_selection_run_reads_anything_of_the_last_fit(both):
    last = {name for name in both.stages if name.startswith(PREFIX)}
    assert len(last) == 8 + 2 + 7  # single stages, finetune and predict by member
    assert not both.before(set(both.stages) - last) & last


@pytest.mark.slow
def test_a_judge_of_ratings_alone_needs_no_captions_for_its_last_fit_and_its_refits(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "final")
    changes = {"ensemble__members": {"svr": "regress"}, "refit__members": ["regress"]}
    alone = pipeline(tmp_path, predict__features="data/none", **changes)
    needed = alone.before({PREFIX + "package", "refit@regress"})
    assert {PREFIX + "regress", "regress", "predict@svr", "ensemble"} <= needed
    assert not needed & {"features", "caption", "likelihood", "embed", "pretrain", "tune_clap"}
    assert "refit@regress" in alone.before({"ensemble"})


def test_of_the_last_fit_the_targets_alone_read_test_labels():
    readers = [name for name, stage in STAGES.items() if "data/test_labels" in stage["deps"]]
    assert readers == ["targets"]
    mentions = [path.stem for path in FOLDER.glob("*.py") if "test_labels" in path.read_text()]
    assert mentions == ["targets"]


def test_all_that_learns_from_ratings_learns_from_the_targets_of_all_pairs(both):
    for name in ("tune_clap", "regress", "fusion", "finetune"):
        assert "data/final/targets" in STAGES[name]["deps"]
        assert not [dep for dep in STAGES[name]["deps"] if dep.startswith("data/targets")]
    assert PREFIX + "targets" not in both.before({PREFIX + "likelihood"})


def test_the_length_of_a_training_is_that_of_the_selection_run(both):
    assert "tune_clap" in both.before({PREFIX + "tune_clap"})
    assert "metrics/tune_clap.json" in STAGES["tune_clap"]["deps"]
    assert "metrics/finetune/${key}.json" in STAGES["finetune"]["deps"]


def test_weights_calibration_and_report_are_those_of_the_selection_run(both):
    assert {"ensemble", "evaluate"} <= both.before({PREFIX + "package"})
    assert "checkpoints/ensemble.json" in STAGES["package"]["deps"]
    assert not [
        out for stage in STAGES.values() for out in outputs(stage) if "ensemble.json" in out
    ]


def test_all_that_it_writes_says_so():
    places = ("checkpoints/final/", "data/final/", "plots/final/", "metrics/final.md")
    assert all(out.startswith(places) for stage in STAGES.values() for out in outputs(stage))
    assert all(stage["wdir"] == ".." for stage in STAGES.values())


def test_every_checkpoint_that_can_be_a_member_has_a_last_fit():
    made = {
        out.removeprefix("checkpoints/final/")
        for stage in STAGES.values()
        for out in outputs(stage)
    }
    values = params.load("", sections.Params, ROOT / "params.yaml")
    possible = {
        "finetune/${key}" if name.startswith("finetune/") else name for name in values.trainings()
    }
    assert possible <= made


def test_every_script_here_is_a_stage_and_thin():
    scripts = set(FOLDER.glob("*.py"))
    assert {path for path in SCRIPTS.values() if path.parent == FOLDER} == scripts
    assert all(len(path.read_text().splitlines()) <= 65 for path in scripts)


@pytest.mark.parametrize("name", SCRIPTS)
def test_its_code_lies_inside_its_dependencies_and_none_of_them_is_idle(name):
    script = SCRIPTS[name]
    assert script.relative_to(ROOT).as_posix() in STAGES[name]["deps"]
    code = {ROOT / dep for dep in STAGES[name]["deps"] if dep.startswith("src/")}
    needed = closure(script)
    assert not {p for p in needed if not any(p.is_relative_to(dep) for dep in code)}
    assert not {dep for dep in code if not any(p.is_relative_to(dep) for p in needed)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_dvc_tracks_exactly_the_parameters_that_it_reads(name):
    keys = re.findall(r"params\.load\(\s*f?\"([^\"]+)\"", SCRIPTS[name].read_text())
    assert set(STAGES[name].get("params", [])) == {k.replace("{name}", "${key}") for k in keys}


def test_what_its_scripts_read_is_a_dependency():
    """Paths in the constants of a script, less what it writes."""
    for name, script in SCRIPTS.items():
        if script.parent != FOLDER:
            continue
        constants = {
            node.value
            for node in ast.walk(ast.parse(script.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        paths = {c for c in constants if re.fullmatch(r"(data|checkpoints|metrics)/\S+", c)}
        known = [*STAGES[name]["deps"], *outputs(STAGES[name])]
        known = [path.replace("/${key}", "") for path in known]
        assert all(
            any(path.startswith(k) or k.startswith(path) for k in known) for path in paths
        ), name
