"""Stored embeddings, in whatever precision, as float32.

B rows asked for, E embedding dimensions.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from soundjudge.data.rows import Rows

UNIT = 0.01  # by which the length of a unit vector may be off: float16 rounds


class EmbeddingError(ValueError):
    """Stored embeddings that are no unit vectors."""


def taken(embeddings: Rows, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """The embeddings at these places: (B, E)."""
    return single(embeddings.take(places))


def single(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """The same in float32; `vectors` can be written to."""
    if vectors.dtype == np.float32:
        return vectors
    converted: NDArray[np.float32] = (
        torch.from_numpy(vectors).float().numpy()
    )  # numpy is 10 x slower
    return converted


def check(embeddings: Rows) -> None:
    """Reads all embeddings once; EmbeddingError unless each is finite and of length 1."""
    done = 0
    for block in embeddings.blocks():
        vectors = single(block.copy())
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.einsum("ne,ne->n", vectors, vectors))  # (B,)
        wrong = ~(np.abs(lengths - 1) < UNIT)
        if wrong.any():
            raise EmbeddingError(
                f"{embeddings.folder}: the embedding of "
                f"{embeddings.key(done + int(wrong.argmax()))!r} is no unit vector (length "
                f"{lengths[wrong][0]:g}): run the stage embed again."
            )
        done += len(block)
