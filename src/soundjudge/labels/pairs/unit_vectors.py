"""Stored embeddings, in any precision, as float32.

B rows requested, E embedding dimensions.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.errors import SoundjudgeError

TOLERANCE = 0.01  # of the length of a unit vector: float16 rounds


def take_float32(embeddings: ArrayStore, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The embeddings of these rows: (B, E)."""
    return as_float32(embeddings.take(rows))


def as_float32(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """The same in float32; `vectors` can be written to."""
    if vectors.dtype == np.float32:
        return vectors
    converted: NDArray[np.float32] = torch.from_numpy(vectors).float().numpy()  # 10 x numpy's speed
    return converted


def check_unit_vectors(embeddings: ArrayStore) -> None:
    """Reads all embeddings once; SoundjudgeError unless each is finite and of length 1."""
    checked = 0
    for block in embeddings.blocks():
        vectors = as_float32(block.copy())
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.einsum("ne,ne->n", vectors, vectors))  # (B,)
        bad = ~(np.abs(lengths - 1) < TOLERANCE)
        if bad.any():
            key = embeddings.key(checked + int(bad.argmax()))
            raise SoundjudgeError(
                f"{embeddings.folder}: the embedding of {key!r} is no unit vector (length "
                f"{lengths[bad][0]:g}): run the stage embed again."
            )
        checked += len(block)
