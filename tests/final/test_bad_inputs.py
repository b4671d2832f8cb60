"""Scripts of the last fit on inputs that are missing, damaged or of something else: a sentence."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import repository
import tiny_last_fit
import torch
import yaml

from soundjudge import errors
from soundjudge.data.tables import tables
from soundjudge.doctor import consistency
from soundjudge.errors import SoundjudgeError
from soundjudge.training.finetune import finetune
from soundjudge.training.tune_clap import tune_clap


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    tiny_last_fit.write_project(root)
    return root


@pytest.fixture
def project(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy, as the folder in which scripts run; no training trains."""

    def stop(*_: object, **__: object) -> None:
        raise SoundjudgeError("the training begins")

    monkeypatch.setattr(tune_clap, "train", stop)
    monkeypatch.setattr(finetune, "train", stop)
    monkeypatch.setattr(consistency, "check_params", lambda: None)  # seconds for each of many runs
    shutil.copytree(whole, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    yield tmp_path / "project"
    torch.use_deterministic_algorithms(False)


TARGETS, RATINGS = tiny_last_fit.TARGETS, tiny_last_fit.RATINGS
ENSEMBLE, EVALUATION = tiny_last_fit.ENSEMBLE, tiny_last_fit.EVALUATION
PREDICTED = tiny_last_fit.PREDICTED
SCRIPTS: dict[str, tuple[str, ...]] = {
    "compare": (),
    "targets": (),
    "package": (),
    "tune_clap": (TARGETS, "new", "new.csv"),
    "finetune": ("full1", TARGETS, "new", "new.csv"),
}
INPUTS = {
    "compare": (
        f"{PREDICTED}/test.csv", "data/predictions/members/two/validation.csv", ENSEMBLE,
        f"{TARGETS}/pairs.json", "data/prepared/levels.json", EVALUATION,
    ),
    "targets": (RATINGS, "data/test_labels/ratings.parquet"),
    "package": (
        ENSEMBLE, f"{PREDICTED}/checkpoint.json", "data/final/predictions/ensemble.csv",
        "data/predictions/ensemble/intervals.json", "data/prepared/levels.json", "metrics/final.md",
        "data/prepared/clips.parquet",
    ),
    "tune_clap": (f"{TARGETS}/train.csv", f"{TARGETS}/global.json", "metrics/tune_clap.json"),
    "finetune": (f"{TARGETS}/train.csv", "metrics/finetune/full1.json"),
}  # fmt: skip


def run(script: str) -> None:
    repository.run_script(repository.ROOT / f"final/{script}.py", *SCRIPTS[script])


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def edit(change: Callable[[dict], object]) -> Callable[[Path], object]:
    """Of a JSON object; other files lose what they hold."""

    def harm(path: Path) -> None:
        if path.suffix == ".json":
            values = json.loads(path.read_text())
            change(values)
            path.write_text(json.dumps(values))
        else:
            path.write_bytes(b"\xe9\n")

    return harm


HARMS: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "a folder": lambda path: replace(path, Path.mkdir),
    "a pipe": lambda path: replace(path, os.mkfifo),
    "a ring": lambda path: replace(path, lambda p: p.symlink_to(p.name)),
    "noise": lambda path: path.write_bytes(np.random.default_rng(2).bytes(300)),
    "another encoding": lambda path: path.write_bytes(b"caf\xe9,\n" + path.read_bytes()),
    "a list": lambda path: path.write_bytes(b"[1]\n" if path.suffix == ".json" else b"\xe9,\n"),
    "a number": lambda path: path.write_bytes(b"\xff5\n" if path.suffix == ".md" else b"5\n"),
    "without a key": edit(lambda values: values.popitem()),
    "a text for a number": edit(lambda values: values.update({next(iter(values)): "many"})),
    "null": edit(lambda values: values.update({list(values)[-1]: None})),
}


@pytest.mark.parametrize(
    "script",
    [
        script
        if script in ("targets", "tune_clap")
        else pytest.param(script, marks=pytest.mark.slow)
        for script in INPUTS
    ],
)
def test_an_input_that_is_none_is_one_sentence_that_names_it(project, whole, script) -> None:
    for name in INPUTS[script]:
        for kind, harm in HARMS.items():
            if name.endswith("pairs.json") and kind == "without a key":
                continue  # of a corpus with fewer splits
            path = project / name
            harm(path)
            check_sentence(script, name, kind)
            restore(path, whole / name)


def check_sentence(script: str, name: str, kind: str) -> None:
    with pytest.raises((SoundjudgeError, OSError)) as caught:
        run(script)
    sentence = errors.stage_sentence(caught.value)
    assert sentence is not None and len(sentence.splitlines()) == 1
    is_known = Path(name).name in sentence or Path(name).parent.name in sentence
    assert is_known, (script, name, kind, sentence)


def restore(path: Path, source: Path) -> None:
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    shutil.copy(source, path)


@pytest.mark.parametrize("script", ["compare", "targets"])
def test_the_inputs_themselves_are_taken(project: Path, script: str) -> None:
    run(script)


@pytest.mark.slow
def test_params_of_a_later_stage_are_refused_by_the_first_one(whole, tmp_path, monkeypatch) -> None:
    shutil.copytree(whole, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["finetune"]["training"]["optimization"]["patience"] = 10**9
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SoundjudgeError, match="patience is 1000000000: it must be 1 to 100000"):
        run("targets")


@pytest.mark.parametrize("script", ["tune_clap", "finetune"])
def test_the_inputs_themselves_are_learned_from(project: Path, script: str) -> None:
    with pytest.raises(SoundjudgeError, match="the training begins"):
        run(script)


@pytest.mark.parametrize(
    ("script", "metrics"),
    [("tune_clap", "metrics/tune_clap.json"), ("finetune", "metrics/finetune/full1.json")],
)
@pytest.mark.parametrize("epochs", [-1, 1.5, True, None, "3", 10**9])
def test_a_length_that_no_training_has_is_refused(project, script, metrics, epochs) -> None:
    Path(metrics).write_text(json.dumps({"best_epoch": epochs}))
    with pytest.raises(SoundjudgeError, match="best_epoch is|validation selected 10"):
        run(script)


@pytest.mark.parametrize(
    "scale", [{"mean": 6.0, "std": 0.0}, {"mean": 6.0}, {"mean": 6, "std": "2"}]
)
def test_a_scale_that_no_ratings_have_is_refused(project, scale) -> None:
    Path(TARGETS, "global.json").write_text(json.dumps(scale))
    with pytest.raises(SoundjudgeError, match=r"global\.json: std"):
        run("tune_clap")


def test_a_member_whose_scores_are_all_one_is_named(project) -> None:
    for split in ("validation", "test"):
        scores = tiny_last_fit.table(tiny_last_fit.SPLITS[split], pred_score=5.0)
        tables.write_table(scores, Path(PREDICTED, f"{split}.csv"), tables.PREDICTIONS)
    with pytest.raises(SoundjudgeError, match="scores of one, the last fit's"):
        run("compare")
