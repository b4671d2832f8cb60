"""Embeddings of very many things, each distinct one made once, kept where a killed run finds them.

N keys, U distinct items, B items of a batch, E embedding dimensions.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge import artifacts
from soundjudge.clap.encoder import in_batches
from soundjudge.data import rows

CHUNK = 4096  # items of a shard: what a killed run loses at most

Encode = Callable[[Sequence[str]], Tensor]  # items -> (B, E)


class EmbeddingError(ValueError):
    """A thing that the teacher cannot embed."""


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Section `embed` of params.yaml."""

    batch_size: int  # clips or captions at once
    precision: Literal["fp32", "bf16"]  # of the encoder
    dtype: Literal["float32", "float16"]  # of the stored embeddings

    def __post_init__(self) -> None:
        """Refuses an empty batch."""
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}, it must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class Distinct:
    """Things of equal content taken together."""

    keys: list[str]  # (N,)
    items: list[str]  # (U,) what is encoded, in order of first appearance
    rows: NDArray[np.int64]  # (N,) the item of each key


def clips(captions: pd.DataFrame, table: pd.DataFrame) -> Distinct:
    """The captioned clips, in order of their ids; those of equal samples are heard once."""
    heard = captions[["clip_id"]].drop_duplicates().sort_values("clip_id", ignore_index=True)
    samples = heard.join(table.set_index("clip_id"), on="clip_id")["sha256"]
    if samples.isna().any():
        raise EmbeddingError(
            f"captions.parquet names {heard['clip_id'][samples.isna()].iloc[0]!r}, and "
            "clips.parquet has no such clip: run the stage prepare again."
        )
    content, _ = pd.factorize(samples)
    first = np.unique(content, return_index=True)[1]
    keys = heard["clip_id"].tolist()
    return Distinct(keys=keys, items=[keys[row] for row in first], rows=content.astype(np.int64))


def texts(captions: pd.DataFrame) -> Distinct:
    """All captions, equal ones read once; ordered by length, so that a batch is padded little."""
    lengths = captions["text"].str.len()
    ordered = captions.assign(length=lengths).sort_values(["length", "text", "caption_id"])
    content, items = pd.factorize(ordered["text"])
    return Distinct(
        keys=list(ordered["caption_id"]), items=list(items), rows=content.astype(np.int64)
    )


def write(
    folder: Path, things: Distinct, encode: Encode, embedding: Embedding, work: Path, device: str
) -> None:
    """Writes unit embeddings of `things` as a folder of rows; goes on with what `work` holds."""
    work.mkdir(parents=True, exist_ok=True)
    chunks = [things.items[start : start + CHUNK] for start in range(0, len(things.items), CHUNK)]
    for number, chunk in enumerate(chunks):
        path = work / f"{number:05d}.npy"
        if not path.exists():
            write_chunk(path, chunk, encode, embedding, device)
    if not chunks:
        rows.write_rows(folder, [], [])
        return
    rows.shard_path(folder, 0).parent.mkdir(parents=True)
    for number in range(len(chunks)):
        _place(work / f"{number:05d}.npy", rows.shard_path(folder, number))
    rows.write_keys(folder, things.keys, things.rows)


def write_chunk(
    path: Path, items: Sequence[str], encode: Encode, embedding: Embedding, device: str
) -> None:
    """Encodes some items and writes their shard: an array file (len(items), E), or none.

    It depends on nothing but its arguments, so that chunks may be made anywhere in any order.
    """
    with torch.autocast(device, torch.bfloat16, enabled=embedding.precision == "bf16"):
        encoded = np.concatenate(list(in_batches(encode, items, embedding.batch_size)))
    # In bf16 a unit vector is one within a hundredth only.
    lengths = np.linalg.norm(encoded, axis=1, keepdims=True)  # (B, 1)
    wrong = ~(np.isfinite(lengths) & (lengths > 0)).ravel()
    if wrong.any():
        item = items[int(wrong.argmax())]
        raise EmbeddingError(
            f"the teacher gives no finite vector for {item[:80]!r}: check that sound or text, and "
            "the weights of checkpoints/clapscore."
        )
    with artifacts.atomic_file(path) as temporary:
        np.save(temporary, (encoded / lengths).astype(embedding.dtype))


def _place(path: Path, target: Path) -> None:
    # A link, not a move: until the stage has ended, a killed run needs it where it is.
    try:
        target.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, target)
