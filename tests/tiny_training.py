"""All inputs of the trainings of the audio language model, in the sizes of `tiny_lalm`.

Six captioned and 24 rated clips of half a second in two splits. The teacher and the listeners
prefer pairs whose sound and text have near numbers, so that there is an order to learn.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import tiny_lalm
import torch
from repository import write_params
from tiny_clips import write_clips

from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.data.clips import clip_store
from soundjudge.data.corpora.clip_writer import Clip, to_pcm
from soundjudge.data.tables import tables
from soundjudge.model.audio.beats.beats import Beats, save_beats
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.model.lalm.adaptation import LlmTraining, Lora
from soundjudge.training.loop.optimization import Optimization

TEXTS = ["a dog barks", "rain on a roof", "a car", "a dog and a car", "rain", "dog barks and rain"]
SPLITS = ["train"] * 4 + ["validation"] * 2
PAIR_SPLITS = ["train"] * 16 + ["validation"] * 8
OPTIMIZATION = Optimization(optimizer="adamw", learning_rate=0.003, epochs=2, batch_size=2)
FULL = LlmTraining(training="full")
FROZEN = LlmTraining(training="frozen")
LORA = LlmTraining(training="lora", lora=Lora(rank=2, alpha=4.0, targets=("q_proj", "v_proj")))


def silent(line: str) -> None:
    """A log that keeps nothing."""


def encoder() -> Beats:
    """A BEATs with features as wide as those of `tiny_lalm`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BeatsConfig(
            embed_dim=8,
            encoder_layers=1,
            encoder_embed_dim=tiny_lalm.FEATURE_DIM,
            encoder_ffn_embed_dim=8,
            encoder_attention_heads=2,
            conv_pos=8,
            conv_pos_groups=2,
        )
        return Beats(config).eval()


def captioned_ids() -> list[str]:
    """Clip ids of the captioned corpus."""
    return [f"audiocaps/c{i}_0" for i in range(6)]


def rated_names() -> list[str]:
    """Wav names of the rated corpus."""
    return [f"{i:05d}.wav" for i in range(24)]


def clips(folder: Path) -> clip_store.ClipStore:
    """data/prepared: clips and shards of both corpora, and captions."""
    rng = np.random.default_rng(0)
    rows = [(name, split) for name, split in zip(captioned_ids(), SPLITS, strict=True)]
    rows += [(f"xacle/{name}", s) for name, s in zip(rated_names(), PAIR_SPLITS, strict=True)]
    sounds = (
        Clip(
            clip_id=name,
            corpus=name.split("/")[0],
            split=split,
            pcm=to_pcm(rng.normal(0, 0.1, 8_000).astype(np.float32)),
        )
        for name, split in rows
    )
    table = write_clips(folder, sounds, shard_samples=100_000)
    tables.write_table(table, folder / "clips.parquet", tables.CLIPS)
    tables.write_table(captions(), folder / "captions.parquet", tables.CAPTIONS)
    return clip_store.ClipStore(folder)


def captions() -> pd.DataFrame:
    """A caption for every captioned clip."""
    rows = [(f"k{i}", c, "audiocaps", TEXTS[i], None) for i, c in enumerate(captioned_ids())]
    return pd.DataFrame(rows, columns=list(tables.CAPTIONS.columns))


def pseudo_labels() -> pd.DataFrame:
    """Every caption with every clip of its split."""
    rows = [
        (clip, f"k{k}", c == k, 1 - abs(c - k) / 6, None if c == k else "random")
        for c, clip in enumerate(captioned_ids())
        for k in range(6)
        if SPLITS[c] == SPLITS[k]
    ]
    return pd.DataFrame(rows, columns=list(tables.PAIRS.columns))


def targets(split: str) -> pd.DataFrame:
    """Rated pairs of a split; the latent scores are the means less a point, errors 0, 1, 0, ..."""
    numbers = [i for i in range(len(PAIR_SPLITS)) if PAIR_SPLITS[i] == split]
    mean = [10 - 2 * (i % 5) + i / 100 for i in numbers]
    columns = {
        "wav_file_name": [rated_names()[i] for i in numbers],
        "text": [TEXTS[i % 6] for i in numbers],
        "mean_score": mean,
        "spo_score": [(i % 5 - 2) * -0.8 for i in numbers],
        "latent_score": [score - 1 for score in mean],
        "latent_se": [float(i % 2) for i in numbers],
        "ratings": 4,
        "split": split,
    }
    return pd.DataFrame(columns)


def features(folder: Path, ids: list[str]) -> ArrayStore:
    """Random features, the same for the same number of ids."""
    write_rows(folder, ids, [tiny_lalm.features(len(ids)).numpy()])
    return ArrayStore(folder)


def repository(root: Path) -> None:
    """All inputs of the stages caption, pretrain and finetune, below `root`."""
    prepared = clips(root / "data/prepared")
    features(root / "data/features", prepared.ids())
    tables.write_table(pseudo_labels(), root / "data/pseudo/pairs.parquet", tables.PAIRS)
    for split in ("train", "validation"):
        tables.write_table(targets(split), root / f"data/targets/{split}.csv", tables.TARGETS)
    rated = pd.concat([targets(split) for split in ("train", "validation")])
    rated = rated[["wav_file_name", "text", "split"]].assign(model_id=None)
    tables.write_table(rated, root / "data/prepared/rated.parquet", tables.RATED)
    tiny_lalm.llm_folder(root / "encoders/llm")
    save_beats(encoder(), root / "encoders/beats.pt")
    member = {
        "seed": 1,
        "warm_start": "pretrain/captioned",
        "captioner": "none",
        "trainable": "all",
        "target": "mean",
        "selection_target": "mean",
    }
    masks = {"freq_mask": 15, "time_mask": 30, "per": "sound"}
    common = {"llm": vars(FULL), "optimization": vars(OPTIMIZATION), "list_size": 4}
    write_params(
        root,
        device="cpu",
        encoders={"audio": "encoders/beats.pt", "llm": "encoders/llm"},
        features__frontend=vars(tiny_lalm.FRONTEND),
        caption={
            "model": vars(tiny_lalm.CONFIG) | {"head": list(tiny_lalm.CONFIG.head)},
            "llm": vars(FULL),
            "eval_batch_size": 3,
            "optimization": vars(OPTIMIZATION),
            "generation": {"clips": 2, "num_beams": 2, "max_tokens": 5, "batch_size": 2},
        },
        pretrain={
            "training": common | {"captions_per_clip": 2, "temperature": 0.5, "eval_batch_size": 3},
            "members": {"captioned": {"seed": 1, "warm_start": "caption"}},
        },
        finetune={
            "training": common | {"eval_batch_size": 5},
            "members": {
                "full1": member | {"specaugment": masks},
                "fresh": member | {"seed": 2, "warm_start": "none", "target": "spo"},
            },
        },
    )
