"""Embeddings of very many clips and captions, each distinct one computed once.

N keys, U distinct items, C items of a chunk, B items of a batch, E embedding dimensions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.clap.encoders.encoder import encode_batches
from soundjudge.data.jobs import chunks
from soundjudge.data.jobs.chunks import Chunk
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

Encode = Callable[[Sequence[str]], Tensor]  # items -> (B, E)


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """Section `embed` of params.yaml."""

    batch_size: int  # clips or captions at once
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16 moves cosines by about 0.002
    dtype: Literal["float32", "float16"] = "float32"  # float16 moves cosines by 0.0002 at most
    engine: chunks.Engine = "local"
    """local = this process; ray = actors on a running Ray cluster whose nodes share this folder;
    the same bytes on devices of the same kind."""
    workers: int | None = None  # Ray actors; null = one per GPU, or per processor without GPUs

    def __post_init__(self) -> None:
        """Refuses an empty batch, and workers without an engine that has them."""
        if self.batch_size < 1:
            raise SoundjudgeError(f"batch_size is {self.batch_size}: choose 1 or more.")
        chunks.check_engine(self.engine, self.workers)


@dataclass(frozen=True, kw_only=True)
class DistinctItems:
    """Clips or captions, those of equal content as one item."""

    keys: list[str]  # (N,)
    items: list[str]  # (U,) what is encoded, in order of first appearance
    rows: NDArray[np.int64]  # (N,) the item of each key


def distinct_clips(captions: pd.DataFrame, clips: pd.DataFrame) -> DistinctItems:
    """The captioned clips, in order of their ids; those of equal samples are one item."""
    captioned = captions[["clip_id"]].drop_duplicates().sort_values("clip_id", ignore_index=True)
    digests = captioned.join(clips.set_index("clip_id"), on="clip_id")["sha256"]
    if digests.isna().any():
        raise SoundjudgeError(
            f"captions.parquet names {captioned['clip_id'][digests.isna()].iloc[0]!r}, and "
            "clips.parquet has no such clip: run the stage prepare again."
        )
    rows, _ = pd.factorize(digests)
    first = np.unique(rows, return_index=True)[1]
    keys = captioned["clip_id"].tolist()
    return DistinctItems(keys=keys, items=[keys[row] for row in first], rows=rows.astype(np.int64))


def distinct_texts(captions: pd.DataFrame) -> DistinctItems:
    """The captions, equal texts as one item; ordered by length: batches are padded little."""
    lengths = captions["text"].str.len()
    ordered = captions.assign(length=lengths).sort_values(["length", "text", "caption_id"])
    rows, items = pd.factorize(ordered["text"])
    keys = list(ordered["caption_id"])
    return DistinctItems(keys=keys, items=list(items), rows=rows.astype(np.int64))


def write_embedding_chunk(
    chunk: Chunk, encode: Encode, embedding: EmbeddingConfig, device: torch.device
) -> None:
    """Writes the unit embeddings of a chunk's items: an array file (C, E), or none."""
    with torch.autocast(device.type, torch.bfloat16, enabled=embedding.precision == "bf16"):
        encoded = np.concatenate(list(encode_batches(encode, chunk.items, embedding.batch_size)))
    # In bf16 a unit vector is one within a hundredth only.
    lengths = np.linalg.norm(encoded, axis=1, keepdims=True)  # (C, 1)
    invalid = ~(np.isfinite(lengths) & (lengths > 0)).ravel()
    if invalid.any():
        item = chunk.items[int(invalid.argmax())]
        raise SoundjudgeError(
            f"the teacher gives no finite vector for {item[:80]!r}: check that sound or text, and "
            "the weights of checkpoints/clapscore."
        )
    with artifacts.atomic_file(chunk.path) as temporary:
        np.save(temporary, (encoded / lengths).astype(embedding.dtype))
