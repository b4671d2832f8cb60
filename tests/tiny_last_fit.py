"""What the selection run and the last fit have made: four random members, twelve rated pairs."""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import repository
import tiny_judge
import tiny_training
import yaml
from tiny_clips import write_clips

from soundjudge.data.clips import clip_levels
from soundjudge.data.corpora.clip_writer import Clip, to_pcm
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.members import predict

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
    rated = [
        table(numbers, split=split, model_id=[f"generator {n % 2}" for n in numbers])
        for split, numbers in SPLITS.items()
    ]
    tables.write_table(pd.concat(rated), prepared / "rated.parquet", tables.RATED)
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
    values["ensemble"] |= {"members": MEMBERS, "zero_weight": [], "least_weight": {}}
    values["encoders"] |= {
        "audio": "checkpoints/encoders/beats.pt",
        "llm": "checkpoints/encoders/llm",
    }
    values["encoders"]["clap"] = {"path": "checkpoints/encoders/clap"}
    values["regress"]["extra_encoders"] = []
    values["predict"] |= {"window_seconds": tiny_judge.SECONDS}
    values["finetune"]["members"]["full1"] |= {
        "warm_start": "caption", "captioner": "none", "trainable": "all",
    }  # fmt: skip
    (root / "params.yaml").write_text(yaml.safe_dump(values))


def write_project(root: Path) -> None:
    """Inputs of every script of final/ and of stage refit, below `root`."""
    tiny_judge.write_checkpoints(root)
    for path in MEMBERS.values():
        shutil.copytree(root / "checkpoints" / path, root / "checkpoints/final" / path)
    shutil.copytree(root / "checkpoints/finetune/one", root / "checkpoints/caption")
    artifacts.write_json(root / ENSEMBLE, asdict(tiny_judge.ensemble(root)), digits=None)
    (root / "metrics").mkdir()
    for name in ("evaluate", "final"):
        (root / f"metrics/{name}.md").write_text("# Agreement\n")
    for name in ("tune_clap", "finetune/full1"):
        artifacts.write_json(root / f"metrics/{name}.json", {"best_epoch": 1})
    write_prepared(root)
    write_ratings(root)
    for folder in (TARGETS, "data/targets"):
        write_targets(root / folder)
    learned = Intervals(coverage=0.9, floor=1.0, slope=0.0, quantile=1.0, difference=1.0)
    artifacts.write_json(root / "data/predictions/ensemble/intervals.json", asdict(learned))
    write_params(root)
    with repository.chdir(root):
        write_predictions(root)
