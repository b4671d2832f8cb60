"""What runs again when a choice changes, as DVC itself sees it: no stage too many, none too few."""

import ast
import os
import shutil
from contextlib import chdir
from dataclasses import dataclass
from typing import Any
from unittest import mock

import networkx
import pytest
import yaml
from repository import ROOT

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
SAMPLE = "data/sample/dvc.yaml:compose"
MACHINE = ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG")
STANDINS = {f"checkpoints/sample/dvc.yaml:{name}" for name in ("beats", "clap", "llm")}
TOWERS = "checkpoints/sample/dvc.yaml:towers"  # frozen, too; the defaults do not read it
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

# The intents: key: (another value, the stages that use it, the stages that may follow). That each
# stage tracks exactly the keys that it reads is proved below.
LALM = "pretrain@captioned finetune@full1 finetune@full2"
RATED = "predict@clapscore predict@regress predict@fusion predict@full1 predict@full2"
PREDICTIONS = f"{RATED} predict@zeroshot"  # the last learns from no rating
TABLE = {
    "prepare.silence_dbfs": (
        -50.0,
        "prepare",
        "screen standardize clap_features tune_clap regress embed pseudolabel features caption"
        f" likelihood fusion {LALM} {PREDICTIONS} predict@likelihood ensemble evaluate package",
    ),
    "screen.tolerance": (
        3,
        "screen standardize",
        f"tune_clap regress fusion embed pseudolabel {LALM} {RATED} ensemble evaluate package",
    ),
    "tune_clap.margin_weight": (
        0.0,
        "tune_clap",
        f"embed pseudolabel {LALM}"
        " predict@clapscore predict@full1 predict@full2 ensemble evaluate package",
    ),
    "likelihood.alpha": (
        0.0,
        "likelihood",
        "fusion predict@likelihood predict@fusion finetune@full1 finetune@full2 predict@full1"
        " predict@full2 ensemble evaluate package",
    ),
    "fusion.likelihood_weight": (1.0, "fusion", "predict@fusion ensemble evaluate package"),
    "regress.c": (2.0, "regress", "predict@regress ensemble evaluate package"),
    "pseudolabel.exclude_rated": (
        ["test"],
        "pseudolabel caption",
        f"likelihood fusion {LALM} predict@full1 predict@full2 predict@likelihood"
        " predict@fusion ensemble evaluate package",
    ),
    "features.frontend.audio_tokens": (
        8,
        f"features caption {PREDICTIONS} predict@likelihood",
        f"likelihood fusion {LALM} ensemble evaluate package",
    ),
    "predict.features": (
        "data/none",
        f"{PREDICTIONS} predict@likelihood package",
        "ensemble evaluate",
    ),
    "regress.extra_encoders": (
        ["checkpoints/other"],
        "clap_features regress",
        f"tune_clap fusion embed pseudolabel {LALM} {PREDICTIONS} predict@likelihood"
        " ensemble evaluate package",  # of which tune_clap finds its part unchanged: see below
    ),
    "pretrain.members.captioned.seed": (
        7,
        "pretrain@captioned",
        "finetune@full1 finetune@full2 predict@full1 predict@full2 ensemble evaluate package",
    ),
    "finetune.members.full2.seed": (7, "finetune@full2", "predict@full2 ensemble evaluate package"),
    "ensemble.method": ("mean", "ensemble", "evaluate package"),
    "evaluate.resamples": (500, "evaluate", "package"),
    "package.version": ("2.0", "package", ""),
}
# A stage that no row names yet may follow wherever it likes.
KNOWN = {name for _, uses, follow in TABLE.values() for name in f"{uses} {follow}".split()}


@dataclass(frozen=True)
class Pipeline:
    """The stages of one params.yaml: their definitions, and the graph of who needs whom."""

    stages: dict[str, Any]
    graph: networkx.DiGraph

    def after(self, names):
        """All that comes after some stages."""
        found = [networkx.ancestors(self.graph, name) for name in names]
        return set().union(*found) - set(names)

    def before(self, names):
        """All that must be there for some stages."""
        found = [networkx.descendants(self.graph, name) for name in names]
        return set().union(*found) - set(names)


def pipeline(folder, **changes):
    """DVC's view of the repository with other parameters (`ensemble__method="mean"`)."""
    pytest.importorskip("dvc", reason="dvc is an extra: pip install 'soundjudge[dvc]'")
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo

    for name in ("", "data/sample", "checkpoints/sample"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in ("dvc.yaml", "params.yaml"):
            shutil.copy(ROOT / name / file, folder / name / file)
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    values = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for dotted, value in changes.items():
        *outer, last = dotted.split("__")
        section = values
        for key in outer:
            section = section[key]
        assert section[last] != value, f"{dotted} has that value already"
        section[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")

    # Names are relative to the working folder; settings of this machine must not matter.
    own = {f"DVC_{kind}_DIR": str(folder / ".dvc" / kind) for kind in MACHINE}
    with chdir(folder), mock.patch.dict(os.environ, own), Repo() as repo:
        stages = {
            stage.addressing: {
                "cmd": stage.cmd,
                "deps": sorted(str(d) for d in stage.deps if not isinstance(d, ParamsDependency)),
                "params": [dependency.read_params(flatten=True) for dependency in stage.params],
                "outs": sorted(str(out) for out in stage.outs),
                "frozen": stage.frozen,
            }
            for stage in repo.index.stages
        }
        edges = [(one.addressing, other.addressing) for one, other in repo.index.graph.edges]
    graph = networkx.DiGraph(edges)
    graph.add_nodes_from(stages)
    return Pipeline(stages, graph)


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    return pipeline(tmp_path_factory.mktemp("default"))


@pytest.mark.slow
@pytest.mark.parametrize("key", TABLE)
def test_a_changed_key_reruns_the_stages_that_use_it_and_what_follows(key, default, tmp_path):
    value, uses, follow = TABLE[key]
    changed = pipeline(tmp_path / "changed", **{key.replace(".", "__"): value})
    names = changed.stages
    touched = {name for name in names if names[name] != default.stages.get(name)}
    assert touched == set(uses.split())
    assert changed.after(touched) & KNOWN == set(follow.split())


def test_screening_does_not_reach_what_has_nothing_to_do_with_ratings(default):
    reached = default.after({"screen"})
    assert not reached & {"prepare", "features", "caption", "screen"}


def test_another_ensemble_method_reaches_the_ensemble_the_report_and_the_judge(default):
    assert default.after({"ensemble"}) == {"evaluate", "package"}


def test_another_clap_of_regress_leaves_what_the_first_is_tuned_on_unchanged(default):
    """So DVC skips tune_clap, and what learns from it."""
    read = [dep for dep in default.stages["tune_clap"]["deps"] if dep.startswith("data/clap")]
    assert read == ["data/clap_features/first"]


def test_the_defaults_need_the_sample_and_its_standins(default):
    assert default.before({"package"}) > {SAMPLE, *STANDINS}
    assert default.before({"prepare"}) == {SAMPLE}
    assert default.before({"features"}) == {SAMPLE, "prepare", "checkpoints/sample/dvc.yaml:beats"}


@pytest.mark.slow
def test_with_other_corpora_and_encoders_nothing_needs_the_sample(tmp_path):
    real = pipeline(
        tmp_path,
        prepare__xacle="data/raw/xacle",
        prepare__audiocaps="data/none",
        prepare__vggsound="data/raw/vggsound",
        encoders__audio="checkpoints/beats.pt",
        encoders__clap__path="checkpoints/clap",
        encoders__llm="checkpoints/llm",
        zeroshot__path="checkpoints/clap",
    )
    own = {name for name in real.stages if "/" not in name}
    assert own == set(real.stages) - {SAMPLE, TOWERS, *STANDINS}
    assert not real.before(own)


@pytest.mark.slow
def test_one_corpus_of_the_sample_is_enough_to_need_it(tmp_path):
    mixed = pipeline(tmp_path, prepare__xacle="data/raw/xacle", prepare__audiocaps="data/none")
    assert mixed.before({"prepare"}) == {SAMPLE}


def test_the_standins_are_frozen_and_nothing_else_is(default):
    frozen = {name for name, stage in default.stages.items() if stage["frozen"]}
    assert frozen == {TOWERS, *STANDINS}


@pytest.mark.slow
def test_a_member_of_the_ensemble_that_is_new_is_predicted_and_the_others_are_not(
    default, tmp_path
):
    members = {**PARAMS["ensemble"]["members"], "again": "finetune/full2"}
    more = pipeline(tmp_path / "more", ensemble__members=members)
    assert set(more.stages) - set(default.stages) == {"predict@again"}
    touched = {name for name in more.stages if more.stages[name] != default.stages.get(name)}
    assert touched == {"predict@again", "ensemble", "package"}
    assert "finetune@full2" in more.before({"predict@again"})


def loaded(stage):
    """The parameters that a stage's script reads: 'finetune.members.${key}' for an f-string."""
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load":
            key = node.args[0]
            parts = key.values if isinstance(key, ast.JoinedStr) else [key]
            found.add("".join(getattr(part, "value", "") if isinstance(part, ast.Constant)
                              else "${key}" for part in parts))  # fmt: skip
    return found


@pytest.mark.parametrize("stage", DVC)
def test_dvc_tracks_exactly_the_parameters_that_a_stage_reads(stage):
    tracked = DVC[stage].get("do", DVC[stage]).get("params", [])
    assert set(tracked) == loaded(stage)
    assert len(tracked) == len(set(tracked))
