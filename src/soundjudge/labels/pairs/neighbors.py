"""The texts that come nearest to each text, within a band of cosines.

Exactly, all with all; or through cells: texts are grouped round centers (spherical k-means: Dhillon
and Modha 2001), and each looks through the cells of the centers nearest to it alone (the inverted
file of Jegou, Douze and Schmid 2011).

U texts, E embedding dimensions, K neighbors, B texts of a block, C cells, S texts of a sample.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS = 2048  # texts whose neighbors are sought at once
COLUMNS = 16_384  # texts they are compared with at once: 128 MB of similarities
PROBES = 4  # cells that a text looks through
SAMPLE = 16  # texts a cell that its center is found from
ROUNDS = 4  # of k-means

Integers = NDArray[np.int64]
Vectors = Callable[[Integers], NDArray[np.float32]]  # texts (B,) -> unit embeddings (B, E)


@dataclass(frozen=True, kw_only=True)
class NeighborSearch:
    """What counts as a neighbor, and how far is looked."""

    size: int  # K
    band: tuple[float, float]  # cosines, both included
    pool: int | None  # texts looked through for each, about; None: all, which is exact
    seed: int  # of the cells


def nearest_neighbors(
    vectors: Vectors, texts: int, search: NeighborSearch, device: str | torch.device
) -> Integers:
    """The texts nearest to each text within the band, best first, then -1: (U, K).

    A text may be its own neighbor. No more than a block of similarities is held at any time.
    """
    low, high = search.band
    best = torch.full((texts, search.size), -torch.inf)  # (U, K)
    found = torch.full((texts, search.size), -1)
    for seekers, members in search_cells(vectors, texts, search, device):
        for columns in iter_blocks(members, COLUMNS):
            right = _tensor(vectors(columns), device).T  # (E, B)
            names = torch.from_numpy(columns)
            for block in iter_blocks(seekers, ROWS):
                cosines = _tensor(vectors(block), device) @ right  # (B, B)
                above = cosines.amax(dim=1) > high  # few rows, so that most are passed over once
                cosines[above] = cosines[above].masked_fill(cosines[above] > high, -torch.inf)
                top, order = cosines.topk(min(search.size, len(columns)), dim=1)
                rows = torch.from_numpy(block)
                both = torch.cat([best[rows], top.cpu()], dim=1)
                which = torch.cat([found[rows], names[order.cpu()]], dim=1)
                best[rows], order = both.topk(search.size, dim=1)
                found[rows] = which.gather(1, order)
    return torch.where(best >= low, found, -1).numpy()


def search_cells(
    vectors: Vectors, texts: int, search: NeighborSearch, device: str | torch.device
) -> Iterator[tuple[Integers, Integers]]:
    """Who looks through whom: texts that seek, texts that are looked through."""
    if search.pool is None or search.pool >= texts:
        yield np.arange(texts), np.arange(texts)
        return
    count = -(-texts * PROBES // search.pool)  # C
    centers = _centres(vectors, texts, count, search.seed, device)  # (C, E)
    near = np.concatenate(
        [
            (_tensor(vectors(block), device) @ centers.T).topk(min(PROBES, count)).indices.cpu()
            for block in iter_blocks(np.arange(texts), ROWS)
        ]
    )  # (U, PROBES)
    visits, home = np.argsort(near, axis=None, kind="stable"), np.argsort(near[:, 0], kind="stable")
    visit_ends = np.bincount(near.ravel(), minlength=count).cumsum()
    home_ends = np.bincount(near[:, 0], minlength=count).cumsum()
    for seekers, members in zip(
        np.split(visits // near.shape[1], visit_ends[:-1]),
        np.split(home, home_ends[:-1]),
        strict=True,
    ):
        if len(members):
            yield seekers, members


def _centres(
    vectors: Vectors, texts: int, count: int, seed: int, device: str | torch.device
) -> Tensor:
    rng = np.random.default_rng(seed)
    drawn = rng.choice(texts, min(texts, SAMPLE * count), replace=False)
    sample = _tensor(vectors(drawn), device)  # (S, E)
    centers = sample[:count].clone()  # (C, E)
    for _ in range(ROUNDS):
        home = torch.cat(
            [(part @ centers.T).argmax(dim=1) for part in torch.split(sample, ROWS)]
        )  # (S,)
        sums = torch.zeros_like(centers).index_add_(0, home, sample)
        lengths = sums.norm(dim=1, keepdim=True)
        centers = torch.where(lengths > 0, sums / lengths.clamp(min=1e-9), centers)
    return centers


def iter_blocks(items: Integers, size: int) -> Iterator[Integers]:
    """The items in parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _tensor(values: NDArray[np.float32], device: str | torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)
