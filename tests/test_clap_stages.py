"""The stages around CLAP, one after the other on a few clips."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_clap
import torch
import yaml

from soundjudge import artifacts
from soundjudge.clap import clapscore, regressor
from soundjudge.clap.transformers_clap import TransformersClap
from soundjudge.data import shards, tables

STAGES = Path(__file__).parents[1] / "stages"
WORDS = ["a dog barks", "rain falls", "a bell rings", "a cat", "engine", "a bell then rain"]

PARAMS = yaml.safe_load("""
device: cpu
encoders: {clap: checkpoints/clap, opening: {backend: transformers, sha256: null}}
evaluate: {note: simulated}
tune:
  target: spo
  trainable: projections
  list_size: 4
  mse_tau: 0.0
  margin: 0.1
  margin_weight: 0.5
  encode_batch_size: 8
  seed: 3
  optimisation:
    optimizer: adam
    learning_rate: 1.0e-3
    weight_decay: 0.0
    epochs: 2
    batch_size: 1
    warmup_steps: 0
    final_lr_ratio: 0.0
    clip_norm: null
    patience: null
    precision: fp32
    checkpoint_steps: 10
regress: {c: 0.5, epsilon: 0.08, gamma: scale, batch_size: 8}
embed: {batch_size: 8}
pseudolabel: {random: 2, hard: 1, similarity: [-1.0, 1.0], seed: 0}
""")


@pytest.fixture(autouse=True)
def own_determinism():
    yield
    torch.use_deterministic_algorithms(False)  # which every stage turns on


def stage(name: str) -> None:
    runpy.run_path(str(STAGES / f"{name}.py"), run_name="__main__")


@pytest.fixture
def pipeline(in_folder: Path) -> Path:
    """A folder with what the stages before these have written."""
    rng = np.random.default_rng(0)
    names = [f"xacle/{number:05}.wav" for number in range(18)] + [
        f"audiocaps/c{n}" for n in range(6)
    ]
    sounds = [
        shards.Clip(
            clip_id=name,
            corpus=name.split("/")[0],
            split="train",
            pcm=(3_000 * rng.normal(size=5_000 + 100 * row)).astype(np.int16),
        )
        for row, name in enumerate(names)
    ]
    prepared = Path("data/prepared")
    clips = shards.write_clips(prepared, sounds, 100_000)
    tables.write(clips, prepared / "clips.parquet", tables.CLIPS)
    captions = pd.DataFrame(
        {
            "caption_id": [f"k{row}" for row in range(6)],
            "clip_id": names[18:],
            "corpus": "audiocaps",
            "text": WORDS,
        }
    )
    tables.write(captions, prepared / "captions.parquet", tables.CAPTIONS)
    for split, rows in (("train", range(12)), ("validation", range(12, 18))):
        score = rng.uniform(2, 10, size=len(rows))
        frame = pd.DataFrame(
            {
                "wav_file_name": [f"{row:05}.wav" for row in rows],
                "text": [WORDS[row % 6] for row in rows],
                "mean_score": score,
                "spo_score": (score - 7) / 3,
                "ratings": 4,
                "split": split,
            }
        )
        tables.write(frame, Path(f"data/targets/{split}.csv"), tables.TARGETS)
    artifacts.write_json(Path("data/targets/global.json"), {"mean": 7.0, "std": 3.0})
    tiny_clap.clap().save(Path("checkpoints/clap"))
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS))
    return in_folder


def test_the_stages_around_clap_run_and_write_the_same_bytes_again(pipeline):
    outputs = [Path(name) for name in ("checkpoints", "data", "metrics", "plots")]
    hashes = []
    for _ in range(2):
        for name in ("tune", "regress", "embed", "pseudolabel"):
            stage(name)
        hashes.append([artifacts.sha256(path) for path in outputs])
    assert hashes[0] == hashes[1]

    pairs = tables.read(Path("data/pseudo/pairs.parquet"), tables.PAIRS)
    assert pairs["matched"].sum() == 6 and (~pairs["matched"]).sum() == 18
    teacher = clapscore.load(Path("checkpoints/clapscore"), "cpu")
    clips = shards.Clips(Path("data/prepared"))
    texts = [WORDS[int(caption[1:])] for caption in pairs["caption_id"]]
    said = teacher.scores([clips.wave(clip) for clip in pairs["clip_id"]], texts)
    np.testing.assert_allclose(pairs["clap_score"], said / 10, atol=1e-5)

    clap = TransformersClap.load(Path("checkpoints/clap"), "cpu")
    member = regressor.load(Path("checkpoints/regress"), clap)
    assert np.isfinite(member.scores([clips.wave("audiocaps/c0")], ["a dog"])).all()
    assert set(artifacts.read_json(Path("metrics/tune.json"))) == {"best_epoch", "validation_srcc"}
    assert len(pd.read_csv("plots/tune/history.csv")) == 3
