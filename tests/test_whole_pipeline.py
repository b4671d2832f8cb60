"""The pipeline as people run it, at its smallest: `dvc repro` in copies of the repository."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from repository import ROOT

from soundjudge.runtime import artifacts

pytestmark = pytest.mark.slow
# All that a fresh clone gives to the stages.
FOLDERS = ("src", "stages", "final", "data/sample/clips", "data/none")
FILES = (
    ".dvc/config",
    ".dvcignore",
    "Makefile",
    "dvc.yaml",
    "params.yaml",
    "data/sample/compose.py",
    "data/sample/dvc.yaml",
    "data/sample/params.yaml",
)
STANDINS = ("beats.pt", "clap", "llm")
LOCKS = ("dvc.lock", "data/sample/dvc.lock", "checkpoints/sample/dvc.lock")
BIN = Path(sys.executable).parent
SMALL = {
    "data/sample/params.yaml": {
        "compose.sizes.audiocaps": [24, 8, 4],
        "compose.sizes.vggsound": [8, 4],
        "compose.sizes.xacle": [24, 16, 12],
    },
    "params.yaml": {
        "tune_clap.list_size": 8,
        "tune_clap.optimization.epochs": 1,
        "pseudolabel.num_random": 0.5,  # a split of three clips has few texts
        "pseudolabel.hard_similarity_range": [-1.0, 1.0],  # untrained: all texts are alike
        "caption.optimization.epochs": 1,
        "caption.optimization.warmup_steps": 0,
        "pretrain.training.optimization.epochs": 1,
        "pretrain.training.optimization.warmup_steps": 0,
        "finetune.training.optimization.epochs": 1,
        "ensemble.folds": 2,
        "evaluate.resamples": 100,
    },
    "checkpoints/sample/params.yaml": {
        "beats.width": 16,
        "beats.layers": 1,
        "beats.phases": [{"steps": 2, "batch": 2, "seconds": 0.64}],
        "clap.scenes": 4,
        "clap.steps": 2,
        "clap.batch": 2,
        "clap.dimensions": 16,
        "clap.text_layers": 1,
        "llm.steps": 2,
        "llm.batch": 2,
        "llm.width": 32,
        "llm.layers": 1,
        "llm.feed_forward": 32,
    },
}


def edit(file, changes):
    """Sets dotted keys that are there already."""
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    for dotted, value in changes.items():
        *outer, last = dotted.split(".")
        section = values
        for key in outer:
            section = section[key]
        assert last in section, f"{file.name} has no {dotted}"
        section[last] = value
    file.write_text(yaml.safe_dump(values), encoding="utf-8")


def clone(folder):
    """A copy of the repository with small settings, and without anything built but stand-ins."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copytree(ROOT / "checkpoints/sample", folder / "checkpoints/sample", ignore=ignored)
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    for name in ("data/sample/params.yaml", "params.yaml"):
        edit(folder / name, SMALL[name])
    values = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    edit(
        folder / "params.yaml",
        {
            "finetune.members": {"full1": values["finetune"]["members"]["full1"]},
            "ensemble.members": {
                name: checkpoint
                for name, checkpoint in values["ensemble"]["members"].items()
                if name != "full2"
            },
            "ensemble.zero_weight": ["likelihood", "full1"],
        },
    )
    return folder


# Starts each script in a Python of its own the first time, and then in a fork of a warm one.
FIRST_COLD = """#!/bin/sh
if mkdir "{folder}/$(basename "$1")" 2>/dev/null; then exec {cold} "$@"; else exec {warm} "$@"; fi
"""


def first_cold(folder, warm):
    folder.mkdir()
    python = folder / "python"
    python.write_text(FIRST_COLD.format(folder=folder, cold=BIN / "python", warm=warm))
    python.chmod(0o755)
    return python


def start(folder, *command, python=BIN / "python"):
    """Starts a command in a copy, with that copy's code and no settings of this machine."""
    own = {f"DVC_{kind}_DIR": str(folder / ".dvc" / "machine" / kind.lower())
           for kind in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG")}  # fmt: skip
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SOUNDJUDGE")},
        **own,
        "HOME": str(folder / ".dvc/machine"),
        "XDG_CACHE_HOME": str(folder / ".dvc/machine/cache"),
        "PATH": os.pathsep.join([str(python.parent), str(BIN), os.environ["PATH"]]),
        "PYTHONPATH": str(folder / "src"),
        "OMP_NUM_THREADS": "1",  # two copies run at once
    }
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process):
    """What a command said, stdout and stderr; it must have ended well."""
    said, complaints = process.communicate()
    assert process.returncode == 0, f"{process.args} said:\n{said}\n{complaints}"
    return said, complaints


def repro(folder, of=(), python=BIN / "python"):
    """Runs `dvc repro` in a copy: the stages that ran, in order."""
    return finish_repro(start(folder, "dvc", "repro", *of, python=python))


def finish_repro(process):
    return re.findall(r"Running stage '(.+)':", "".join(finish(process)))


def train_standins(folder, python):
    """`make standins` at its shortest, without the installation."""
    edit(folder / "checkpoints/sample/params.yaml", SMALL["checkpoints/sample/params.yaml"])
    finish(start(folder, "make", "--old-file=install", "standins", python=python))


def locks(folder):
    return [yaml.safe_load((folder / name).read_text(encoding="utf-8"))["stages"] for name in LOCKS]


def test_standins_are_trained_when_told_to_and_never_otherwise(tmp_path, warm_python):
    folder = clone(tmp_path / "copy")
    sample = folder / "checkpoints/sample"
    train_standins(folder, warm_python)
    assert sorted(yaml.safe_load((sample / "dvc.lock").read_text())["stages"]) == [
        "beats", "clap", "llm", "towers",
    ]  # fmt: skip
    made = [artifacts.sha256(sample / name) for name in STANDINS]
    edit(sample / "params.yaml", {"clap.seed": 9})
    with (folder / "checkpoints/sample/vocabulary.py").open("a") as file:
        file.write("# changed\n")
    for force in ((), ("--force",)):
        assert repro(folder, of=("checkpoints/sample/dvc.yaml", *force)) == []
    assert [artifacts.sha256(sample / name) for name in STANDINS] == made


def test_from_recordings_to_a_judge_and_only_what_changed_again(tmp_path, warm_python):
    one = clone(tmp_path / "one")
    if not all((one / "checkpoints/sample" / name).exists() for name in STANDINS):
        train_standins(one, warm_python)
    other = tmp_path / "another" / "place"
    shutil.copytree(one, other, ignore=shutil.ignore_patterns("machine", "tmp", "cache"))

    there = start(other, "dvc", "repro", python=warm_python)
    ran = repro(one, python=first_cold(tmp_path / "cold", warm_python))
    ran_there = finish_repro(there)
    assert set(ran) == {
        "data/sample/dvc.yaml:compose", "prepare", "screen", "standardize", "clap_features",
        "tune_clap", "zeroshot", "regress", "embed", "pseudolabel", "features", "caption",
        "likelihood", "fusion", "pretrain@captioned", "finetune@full1", "predict@clapscore",
        "predict@zeroshot", "predict@regress", "predict@full1", "predict@likelihood",
        "predict@fusion", "ensemble", "evaluate", "package",
    }  # fmt: skip
    assert len(ran) == 25
    assert sorted(ran_there) == sorted(ran)
    assert locks(one) == locks(other), "two folders made other bytes"
    metrics = json.loads((one / "metrics/details/evaluate.json").read_text(encoding="utf-8"))
    assert metrics["test"]["ensemble"]["pairs"] == 12
    assert not list((one / "work").rglob("*.safetensors")), "a stage left its checkpoints behind"

    assert repro(one) == []
    edit(one / "params.yaml", {"ensemble.method": "mean"})
    assert repro(one, python=warm_python) == ["ensemble", "evaluate", "package"]

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands, output = re.findall(r"^```(?:bash|text)\n(.*?)^```$", readme, re.M | re.S)[:2]
    make, activate, score = commands.splitlines()
    assert (make, activate) == ("make repro", ". .venv/bin/activate")
    said = "".join(finish(start(one, *shlex.split(make), "--old-file=install")))
    assert "didn't change" in said and "\n## test, 12 pairs\n" in said
    said, told = finish(start(one, *shlex.split(score)))
    shown_score, shown_id, *shown = output.splitlines()
    assert re.fullmatch(r"\d+\.\d{4}\n", said) and re.fullmatch(r"\d+\.\d{4}", shown_score)
    assert 0.0 <= float(said) <= 10.0
    score_id, *others = told.splitlines()
    assert score_id.partition("+")[0] == shown_id.partition("+")[0]
    assert score_id == json.loads((one / "metrics/package.json").read_text())["score_id"]
    assert others == shown

    check_last_fit(one, warm_python)
    check_refit(one, warm_python)


LAST_FIT = {
    "targets", "tune_clap", "regress", "likelihood", "fusion", "finetune@full1",
    "predict@clapscore", "predict@zeroshot", "predict@regress", "predict@full1",
    "predict@likelihood", "predict@fusion", "compare", "package",
}  # fmt: skip


def check_last_fit(folder, python):
    """The last fit of a pipeline that has run: on all rated pairs, as long as was selected."""
    selected = artifacts.sha256(folder / "checkpoints/judge")
    ran = repro(folder, of=("final/dvc.yaml",), python=python)
    assert set(ran) == {f"final/dvc.yaml:{name}" for name in LAST_FIT}
    pairs = json.loads((folder / "data/final/targets/pairs.json").read_text(encoding="utf-8"))
    assert set(pairs) == {"train", "validation", "test"}
    assert pairs["test"] == 12
    for metrics, history in (("tune_clap.json", "tune_clap.csv"), ("finetune/full1.json",) * 2):
        best = json.loads((folder / "metrics" / metrics).read_text(encoding="utf-8"))["best_epoch"]
        path = folder / "plots/final" / Path(history).with_suffix(".csv")
        *_, last = path.read_text(encoding="utf-8").splitlines()
        assert last.startswith(f"{best},"), "another number of epochs than was selected"
    assert repro(folder) == [], "the last fit changed the selection run"
    assert artifacts.sha256(folder / "checkpoints/judge") == selected

    judge = folder / "checkpoints/final/judge"
    manifest = json.loads((judge / "judge.json").read_text(encoding="utf-8"))
    blend = json.loads((folder / "checkpoints/ensemble.json").read_text(encoding="utf-8"))
    assert manifest["score_id"].startswith("soundjudge-sample-final@")
    assert manifest["ensemble"]["weights"] == blend["weights"]
    assert "no honest test" in manifest["note"]
    assert "## No honest test is left" in (judge / "README.md").read_text(encoding="utf-8")
    sound = next((folder / "data/sample/xacle/wav/test").iterdir())
    command = ("soundjudge", "score", str(sound), "A dog barks", "--model", str(judge))
    _, said = finish(start(folder, *command))
    assert "no honest test is left" in said


def check_refit(folder, python):
    """A member without each generator, in a pipeline that has run."""
    edit(folder / "params.yaml", {"refit.members": ["fusion"], "ensemble.folds_by": "generator"})
    assert repro(folder, of=("refit@fusion",), python=python) == ["refit@fusion"]
    rows = (folder / "data/predictions/members/refit/fusion.csv").read_text(encoding="utf-8")
    generators = {line.split(",")[0] for line in rows.splitlines()[1:]}
    assert len(generators) > 1
    assert len(rows.splitlines()) == 1 + 16 * len(generators)
