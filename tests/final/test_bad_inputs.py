"""Scripts of the last fit on inputs that are missing, damaged or of something else: a sentence."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import repository
import tiny_judge
import tiny_training
import torch
import yaml
from tiny_clips import write_clips

from soundjudge import errors
from soundjudge.data.clips import clip_levels
from soundjudge.data.corpora.clip_writer import Clip, to_pcm
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.members import predict
from soundjudge.training import finetune, tune_clap

MEMBERS = {name: path.removeprefix("checkpoints/") for name, path in tiny_judge.CHECKPOINTS.items()}
SPLITS = {"train": range(6), "validation": range(6, 9), "test": range(9, 12)}
TARGETS, RATINGS = "data/final/targets", "data/prepared/ratings.parquet"
ENSEMBLE, EVALUATION = "checkpoints/ensemble.json", "metrics/evaluate.md"
PREDICTED = "data/final/predictions/members/one"


def table(names: range, **columns: object) -> pd.DataFrame:
    wavs = [f"{number:05}.wav" for number in names]
    texts = [tiny_judge.WORDS[number % 5] for number in names]
    return pd.DataFrame({"wav_file_name": wavs, "text": texts, **columns})


def write_predictions(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name, path in MEMBERS.items():
        for folder in (root / "data/predictions/members", root / "data/final/predictions/members"):
            for split in ("validation", "test"):
                scores = table(SPLITS[split], pred_score=rng.uniform(0, 10, 3))
                tables.write_table(scores, folder / name / f"{split}.csv", tables.PREDICTIONS)
        predict.write_provenance(folder / name, Path("checkpoints/final") / path)
    blend = root / "data/final/predictions/ensemble.csv"
    tables.write_table(table(SPLITS["test"], pred_score=5.0), blend, tables.PREDICTIONS)


def write_ratings(root: Path) -> None:
    rng = np.random.default_rng(1)
    for path, splits in {
        RATINGS: ("train", "validation"), "data/test_labels/ratings.parquet": ("test",)
    }.items():  # fmt: skip
        rows = [
            table(SPLITS[split], split=split, model_id=None).assign(
                listener_id=f"l{who}", score=rng.integers(0, 11, len(SPLITS[split])).astype(float)
            )
            for split in splits
            for who in range(4)
        ]
        tables.write_table(pd.concat(rows, ignore_index=True), root / path, tables.RATINGS)


def write_prepared(root: Path) -> None:
    sounds = (
        Clip(
            clip_id=f"xacle/{number:05}.wav",
            corpus="xacle",
            split=split,
            pcm=to_pcm(tiny_judge.noise(0.5, number)),
        )
        for split, numbers in SPLITS.items()
        for number in numbers
    )
    prepared = root / "data/prepared"
    tiny_training.features(root / "data/features", [f"xacle/{n:05}.wav" for n in range(12)])
    clips = write_clips(prepared, sounds, shard_samples=1_000_000)
    tables.write_table(clips, prepared / "clips.parquet", tables.CLIPS)
    levels = clip_levels.ClipLevels(silence_dbfs=-60.0, level_dbfs=None, silent=())
    clip_levels.write_levels(prepared, levels)


def write_targets(folder: Path) -> None:
    names = range(12)
    frame = table(
        names, mean_score=[number / 2 for number in names], spo_score=0.0, latent_score=5.0,
        latent_se=1.0, ratings=4, split="train",
    )  # fmt: skip
    tables.write_table(frame, folder / "train.csv", tables.TARGETS)
    artifacts.write_json(folder / "global.json", {"mean": 6.0, "std": 2.0})
    artifacts.write_json(folder / "pairs.json", {"test": 3, "train": 6, "validation": 3})


def write_params(root: Path) -> None:
    values = repository.params(device="cpu", note="")
    values["ensemble"]["members"] = MEMBERS
    values["encoders"] |= {
        "audio": "checkpoints/encoders/beats.pt",
        "llm": "checkpoints/encoders/llm",
    }
    values["encoders"]["clap"] = {"path": "checkpoints/encoders/clap"}
    values["predict"] |= {"window_seconds": tiny_judge.SECONDS}
    values["finetune"]["members"]["full1"] |= {
        "warm_start": "caption", "captioner": "none", "trainable": "all",
    }  # fmt: skip
    (root / "params.yaml").write_text(yaml.safe_dump(values))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the selection run and the last fit have made, for four members and twelve pairs."""
    root = tmp_path_factory.mktemp("whole")
    tiny_judge.write_checkpoints(root)
    for path in MEMBERS.values():
        shutil.copytree(root / "checkpoints" / path, root / "checkpoints/final" / path)
    shutil.copytree(root / "checkpoints/finetune/one", root / "checkpoints/caption")
    artifacts.write_json(root / ENSEMBLE, asdict(tiny_judge.ensemble(root)), exact=True)
    (root / "metrics").mkdir()
    for name in ("evaluate", "final"):
        (root / f"metrics/{name}.md").write_text("# Agreement\n")
    for name in ("tune_clap", "finetune/full1"):
        artifacts.write_json(root / f"metrics/{name}.json", {"best_epoch": 1})
    write_prepared(root)
    write_ratings(root)
    write_targets(root / TARGETS)
    learned = Intervals(coverage=0.9, floor=1.0, slope=0.0, quantile=1.0, difference=1.0)
    artifacts.write_json(root / "data/predictions/ensemble/intervals.json", asdict(learned))
    write_params(root)
    with repository.chdir(root):
        write_predictions(root)
    return root


@pytest.fixture
def project(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy, as the folder in which scripts run; no training trains."""

    def stop(*_: object, **__: object) -> None:
        raise SoundjudgeError("the training begins")

    monkeypatch.setattr(tune_clap, "train", stop)
    monkeypatch.setattr(finetune, "train", stop)
    shutil.copytree(whole, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    yield tmp_path / "project"
    torch.use_deterministic_algorithms(False)


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


@pytest.mark.parametrize("script", INPUTS)
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
        scores = table(SPLITS[split], pred_score=5.0)
        tables.write_table(scores, Path(PREDICTED, f"{split}.csv"), tables.PREDICTIONS)
    with pytest.raises(SoundjudgeError, match="scores of one, the last fit's"):
        run("compare")
