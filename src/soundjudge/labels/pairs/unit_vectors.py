"""Stored embeddings, in whatever precision, as float32.

B rows asked for, E embedding dimensions.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.errors import SoundjudgeError

UNIT = 0.01  # by which the length of a unit vector may be off: float16 rounds


def take_float32(embeddings: ArrayStore, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """The embeddings at these places: (B, E)."""
    return as_float32(embeddings.take(places))


def as_float32(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """The same in float32; `vectors` can be written to."""
    if vectors.dtype == np.float32:
        return vectors
    converted: NDArray[np.float32] = (
        torch.from_numpy(vectors).float().numpy()
    )  # numpy is 10 x slower
    return converted


def check_unit_vectors(embeddings: ArrayStore) -> None:
    """Reads all embeddings once; EmbeddingError unless each is finite and of length 1."""
    done = 0
    for block in embeddings.blocks():
        vectors = as_float32(block.copy())
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.einsum("ne,ne->n", vectors, vectors))  # (B,)
        wrong = ~(np.abs(lengths - 1) < UNIT)
        if wrong.any():
            raise SoundjudgeError(
                f"{embeddings.folder}: the embedding of "
                f"{embeddings.key(done + int(wrong.argmax()))!r} is no unit vector (length "
                f"{lengths[wrong][0]:g}): run the stage embed again."
            )
        done += len(block)
