"""A tuning of CLAP on 18 random clips: its config, clips, targets and validation values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_clips import write_clips

from soundjudge.data.clips import clip_store
from soundjudge.data.corpora.clip_writer import Clip
from soundjudge.data.tables import tables
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.tune_clap import tune_clap

TEXTS = ["a dog barks", "rain falls", "a bell rings", "a cat", "engine", "a bell then rain"]


def tuning(**changes: object) -> tune_clap.TuneConfig:
    optimization = {
        "optimizer": "adam",
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "epochs": 2,
        "batch_size": 2,
        "warmup_steps": 0,
        "final_lr_ratio": 0.0,
        "clip_norm": None,
        "patience": None,
        "precision": "fp32",
        "checkpoint_minutes": 10.0,
    }
    values = {
        "target": "spo",
        "trainable": "audio",
        "list_size": 4,
        "mse_tau": 0.0,
        "margin": 0.1,
        "margin_weight": 0.5,
        "class_balance": None,
        "encode_batch_size": 5,
        "seed": 1,
        "optimization": Optimization(**(optimization | changes.pop("optimization", {}))),
    }
    return tune_clap.TuneConfig(**(values | changes))


def write_store(prepared: Path) -> clip_store.ClipStore:
    rng = np.random.default_rng(0)
    sounds = [
        Clip(
            clip_id=f"xacle/{number:05}.wav",
            corpus="xacle",
            split="train",
            pcm=(rng.normal(size=3_000 + 400 * number) * 3_000 * (1 + number % 3)).astype(np.int16),
        )
        for number in range(18)
    ]
    tables.write_table(
        write_clips(prepared, sounds, 100_000), prepared / "clips.parquet", tables.CLIPS
    )
    return clip_store.ClipStore(prepared)


def targets(start: int, end: int) -> pd.DataFrame:
    rng = np.random.default_rng(start)
    score = rng.uniform(2, 10, size=end - start)
    return pd.DataFrame(
        {
            "wav_file_name": [f"{number:05}.wav" for number in range(start, end)],
            "text": [TEXTS[number % 6] for number in range(start, end)],
            "mean_score": score,
            "spo_score": (score - 7.0) / 3.0 + 0.1,
            "latent_score": score - 0.2,
            "ratings": 4,
            "split": "train",
        }
    )


def validations(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Lets the epochs, zero first, reach these validation values."""
    remaining = iter(values)
    monkeypatch.setattr(tune_clap, "rank_correlation", lambda *_: next(remaining))
