"""Embeddings of very many clips and texts, each distinct one computed once.

N keys, U distinct items, C items of a chunk, B items of a batch, E embedding dimensions, H width of
a tower.
"""

from collections.abc import Callable, Iterable, Sequence
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
from soundjudge.data.tables.tables import rated_clip_id
from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.ranges import LARGEST_BATCH, check_range
from soundjudge.runtime import artifacts

Encode = Callable[[Sequence[str]], Tensor]  # items -> (B, E)


@dataclass(frozen=True, kw_only=True)
class EncodingConfig:
    """How a CLAP encodes very many items; section `clap_features` of params.yaml."""

    batch_size: int  # clips or texts at once
    engine: chunks.Engine = "local"
    """local = this process; ray = actors on a running Ray cluster whose nodes share this folder;
    the same bytes on devices of the same kind."""
    workers: int | None = None  # Ray actors; null = one per GPU, or per processor without GPUs

    def __post_init__(self) -> None:
        """Refuses an empty batch, and workers without an engine that has them."""
        check_range(self, "batch_size", least=1, most=LARGEST_BATCH)
        chunks.check_engine(self.engine, self.workers)


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig(EncodingConfig):
    """Section `embed` of params.yaml."""

    precision: Literal["fp32", "bf16"] = "fp32"  # bf16 moves cosines by about 0.002
    dtype: Literal["float32", "float16"] = "float32"  # float16 moves cosines by 0.0002 at most


@dataclass(frozen=True, kw_only=True)
class DistinctItems:
    """Clips or texts, those of equal content as one item."""

    keys: list[str]  # (N,)
    items: list[str]  # (U,) what is encoded, in order of first appearance
    rows: NDArray[np.int64]  # (N,) the item of each key


def distinct_clips(clip_ids: Iterable[str], clips: pd.DataFrame) -> DistinctItems:
    """Clips of a CLIPS table, in order of their ids; those of equal samples are one item."""
    keys = sorted(set(clip_ids))
    digests = clips.set_index("clip_id")["sha256"].reindex(keys)
    if digests.isna().any():
        raise SoundjudgeError(
            f"clips.parquet has no clip {digests.index[digests.isna()][0]!r}, which another table "
            "names: run the stage prepare again."
        )
    rows, _ = pd.factorize(digests.to_numpy())
    first = np.unique(rows, return_index=True)[1]
    return DistinctItems(keys=keys, items=[keys[row] for row in first], rows=rows.astype(np.int64))


def distinct_texts(keys: Iterable[str], texts: Iterable[str]) -> DistinctItems:
    """Texts (N,), equal ones as one item, as models read them; by length: little padding."""
    frame = pd.DataFrame({"key": list(keys), "text": list(map(clean_text, texts))})
    ordered = frame.assign(length=frame["text"].str.len()).sort_values(["length", "text", "key"])
    rows, items = pd.factorize(ordered["text"])
    return DistinctItems(keys=list(ordered["key"]), items=list(items), rows=rows.astype(np.int64))


def distinct_rated(rated: pd.DataFrame, clips: pd.DataFrame) -> tuple[DistinctItems, DistinctItems]:
    """The clips, by their ids, and the texts, as models read them, of a RATED table."""
    texts = sorted(set(map(clean_text, rated["text"])))
    clip_ids = map(rated_clip_id, rated["wav_file_name"])
    return distinct_clips(clip_ids, clips), distinct_texts(texts, texts)


def write_encoding_chunk(chunk: Chunk, encode: Encode, config: EncodingConfig) -> None:
    """Writes what `encode` makes of a chunk's items, float32: an array file (C, H), or none."""
    encoded = np.concatenate(list(encode_batches(encode, chunk.items, config.batch_size)))
    with artifacts.atomic_file(chunk.path) as temporary:
        np.save(temporary, encoded)


def write_embedding_chunk(
    chunk: Chunk, encode: Encode, embedding: EmbeddingConfig, device: torch.device
) -> None:
    """Writes the unit embeddings of a chunk's items: an array file (C, E), or none."""
    with torch.autocast(device.type, torch.bfloat16, enabled=embedding.precision == "bf16"):
        encoded = np.concatenate(list(encode_batches(encode, chunk.items, embedding.batch_size)))
    # In bf16 a unit vector is one within a hundredth only.
    lengths = np.linalg.norm(encoded, axis=1, keepdims=True)  # (C, 1)
    if not lengths.all():
        item = chunk.items[int(lengths.argmin())]
        raise SoundjudgeError(
            f"the teacher gives a vector of zeros for {item[:80]!r}: check that sound or text, and "
            "the weights of checkpoints/clapscore"
        )
    with artifacts.atomic_file(chunk.path) as temporary:
        np.save(temporary, (encoded / lengths).astype(embedding.dtype))
