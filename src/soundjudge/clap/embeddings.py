"""Embeddings of very many things, kept where a killed run finds them again.

N items, E embedding dimensions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from soundjudge import artifacts
from soundjudge.clap.encoder import in_batches
from soundjudge.data.shards import write_rows

CHUNK = 8192  # items between two checkpoints


def write(
    folder: Path,
    keys: Sequence[str],
    items: Sequence[str],
    encode: Callable[[Sequence[str]], Tensor],
    batch_size: int,
    work: Path,
) -> None:
    """Writes `encode` of each item as a row (E,) under its key; goes on with what `work` holds."""
    work.mkdir(parents=True, exist_ok=True)
    parts = [(work / f"{start:09d}.npy", start) for start in range(0, len(keys), CHUNK)]
    for path, start in parts:
        if not path.exists():
            blocks = list(in_batches(encode, items[start : start + CHUNK], batch_size))
            with artifacts.atomic_file(path) as temporary:
                np.save(temporary, np.concatenate(blocks))
    write_rows(folder, keys, (np.load(path) for path, _ in parts))
