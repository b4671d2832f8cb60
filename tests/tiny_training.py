"""All that the trainings of the audio language model read, in the sizes of `tiny_lalm`.

Six clips of half a second in two splits; the teacher and the listeners both like a sound and a text
the better the more alike their numbers are, so that there is something to learn.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import tiny_lalm
import torch
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
OPTIMISATION = Optimization(
    optimizer="adamw",
    learning_rate=0.003,
    weight_decay=0.01,
    epochs=2,
    batch_size=2,
    warmup_steps=0,
    final_lr_ratio=0.01,
    clip_norm=1.0,
    patience=None,
    precision="fp32",
    checkpoint_steps=100,
)
FULL = LlmTraining(training="full", lora=None, gradient_checkpointing=False, compile=False)
FROZEN = LlmTraining(training="frozen", lora=None, gradient_checkpointing=False, compile=False)
LORA = LlmTraining(
    training="lora",
    lora=Lora(rank=2, alpha=4.0, targets=("q_proj", "v_proj")),
    gradient_checkpointing=False,
    compile=False,
)


def silent(line: str) -> None:
    """A log that keeps nothing."""


def encoder() -> Beats:
    """A BEATs whose features are as wide as `tiny_lalm` wants them."""
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
    """Clip ids of the caption corpus."""
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
    places = [i for i in range(len(PAIR_SPLITS)) if PAIR_SPLITS[i] == split]
    mean = [10 - 2 * (i % 5) + i / 100 for i in places]
    columns = {
        "wav_file_name": [rated_names()[i] for i in places],
        "text": [TEXTS[i % 6] for i in places],
        "mean_score": mean,
        "spo_score": [(i % 5 - 2) * -0.8 for i in places],
        "latent_score": [score - 1 for score in mean],
        "latent_se": [float(i % 2) for i in places],
        "ratings": 4,
        "split": split,
    }
    return pd.DataFrame(columns)


def rows(folder: Path, ids: list[str]) -> ArrayStore:
    """Random features, the same for the same ids."""
    block = tiny_lalm.features(len(ids)).numpy()
    write_rows(folder, ids, [block])
    return ArrayStore(folder)


def repository(root: Path) -> None:
    """Everything that the stages caption, align and finetune read, below `root`."""
    prepared = clips(root / "data/prepared")
    rows(root / "data/features", prepared.ids())
    tables.write_table(pseudo_labels(), root / "data/pseudo/pairs.parquet", tables.PAIRS)
    for split in ("train", "validation"):
        tables.write_table(targets(split), root / f"data/targets/{split}.csv", tables.TARGETS)
    tiny_lalm.llm_folder(root / "encoders/llm")
    save_beats(encoder(), root / "encoders/beats.pt")
    (root / "params.yaml").write_text(PARAMS)


def learning(indent: int) -> str:
    """The section `optimization` of the params below."""
    lines = (f"{k}: {'null' if v is None else v}" for k, v in vars(OPTIMISATION).items())
    return "\n".join(" " * indent + line for line in lines)


PARAMS = f"""
device: cpu
encoders: {{llm: encoders/llm, beats: encoders/beats.pt}}
features:
  frontend: {{audio_tokens: 4, window_seconds: 1.0}}
caption:
  model:
    projector_hidden: 12
    projector_dropout: 0.1
    head: [10, 10, 4]
    head_dropout: 0.1
    max_text_tokens: 8
    order: text_first
    attention: eager
  llm: {{training: full, lora: null, gradient_checkpointing: false, compile: false}}
  train_splits: [train]
  validation_splits: [validation]
  eval_batch_size: 3
  seed: 1
  optimization:
{learning(4)}
  generation: {{clips: 2, num_beams: 2, max_tokens: 5, batch_size: 2}}
pretrain:
  warm_start: caption
  llm: {{training: full, lora: null, gradient_checkpointing: false, compile: false}}
  list_size: 4
  captions_per_clip: 2
  loss: listnet
  temperature: 0.5
  margin: 0.1
  train_splits: [train]
  validation_splits: [validation]
  eval_batch_size: 3
  seed: 1
  optimization:
{learning(4)}
finetune:
  training:
    llm: {{training: full, lora: null, gradient_checkpointing: false, compile: false}}
    list_size: 4
    loss: listnet
    temperature: 1.0
    margin: 0.1
    eval_batch_size: 5
    optimization:
{learning(6)}
  members:
    full1:
      seed: 1
      warm_start: pretrain
      target: mean
      weights: none
      select: mean
      specaugment: {{freq_mask: 15, time_mask: 30, per: sound}}
    fresh:
      seed: 2
      warm_start: none
      target: spo
      weights: none
      select: mean
      specaugment: null
"""
