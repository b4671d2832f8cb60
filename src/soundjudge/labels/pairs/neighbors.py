"""The nearest texts of each text, within a range of cosines.

Exactly, all with all; or by cells: texts are clustered round centers (spherical k-means: Dhillon
and Modha 2001), and each is compared only with the cells of its nearest centers (the inverted file
of Jegou, Douze and Schmid 2011).

U texts, E embedding dimensions, K neighbors, B texts of a block, C cells, S texts of a sample.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

QUERY_BLOCK = 2048  # texts whose neighbors are searched at once
CANDIDATE_BLOCK = 16_384  # texts that they are compared with at once: 128 MB of similarities
PROBES = 4  # cells that a text is compared with
SAMPLES_PER_CELL = 16  # texts that the centers are fitted to
KMEANS_ITERATIONS = 4

Integers = NDArray[np.int64]
Device = str | torch.device
Vectors = Callable[[Integers], NDArray[np.float32]]  # texts (B,) -> unit embeddings (B, E)


@dataclass(frozen=True, kw_only=True)
class NeighborSearch:
    """Which texts are neighbors, and how many are compared."""

    size: int  # K
    cosine_range: tuple[float, float]  # both ends included
    pool: int | None  # texts that each is compared with, about; None = all, which is exact
    seed: int  # of the cells


def nearest_neighbors(
    vectors: Vectors, texts: int, search: NeighborSearch, device: Device
) -> Integers:
    """The nearest texts of each text within the range, nearest first, then -1: (U, K).

    A text may be its own neighbor. Holds one block of similarities at a time.
    """
    low, high = search.cosine_range
    best = torch.full((texts, search.size), -torch.inf)  # (U, K)
    neighbors = torch.full((texts, search.size), -1)
    for queries, candidates in search_cells(vectors, texts, search, device):
        for columns in iter_blocks(candidates, CANDIDATE_BLOCK):
            right = _tensor(vectors(columns), device).T  # (E, B)
            codes = torch.from_numpy(columns)
            for block in iter_blocks(queries, QUERY_BLOCK):
                cosines = _tensor(vectors(block), device) @ right  # (B, B)
                above = cosines.amax(dim=1) > high  # few rows, so that most are read only once
                cosines[above] = cosines[above].masked_fill(cosines[above] > high, -torch.inf)
                top, order = cosines.topk(min(search.size, len(columns)), dim=1)
                rows = torch.from_numpy(block)
                merged = torch.cat([best[rows], top.cpu()], dim=1)
                merged_codes = torch.cat([neighbors[rows], codes[order.cpu()]], dim=1)
                best[rows], order = merged.topk(search.size, dim=1)
                neighbors[rows] = merged_codes.gather(1, order)
    return torch.where(best >= low, neighbors, -1).numpy()


def search_cells(
    vectors: Vectors, texts: int, search: NeighborSearch, device: Device
) -> Iterator[tuple[Integers, Integers]]:
    """Texts, and the candidates for their neighbors, cell by cell."""
    if search.pool is None or search.pool >= texts:
        yield np.arange(texts), np.arange(texts)
        return
    count = -(-texts * PROBES // search.pool)  # C
    centers = _fit_centers(vectors, texts, count, search.seed, device)  # (C, E)
    nearest = np.concatenate(
        [
            (_tensor(vectors(block), device) @ centers.T).topk(min(PROBES, count)).indices.cpu()
            for block in iter_blocks(np.arange(texts), QUERY_BLOCK)
        ]
    )  # (U, PROBES)
    visits = np.argsort(nearest, axis=None, kind="stable")
    members = np.argsort(nearest[:, 0], kind="stable")
    visit_ends = np.bincount(nearest.ravel(), minlength=count).cumsum()
    member_ends = np.bincount(nearest[:, 0], minlength=count).cumsum()
    for queries, candidates in zip(
        np.split(visits // nearest.shape[1], visit_ends[:-1]),
        np.split(members, member_ends[:-1]),
        strict=True,
    ):
        if len(candidates):
            yield queries, candidates


def _fit_centers(vectors: Vectors, texts: int, count: int, seed: int, device: Device) -> Tensor:
    rng = np.random.default_rng(seed)
    selected = rng.choice(texts, min(texts, SAMPLES_PER_CELL * count), replace=False)
    sample = _tensor(vectors(selected), device)  # (S, E)
    centers = sample[:count].clone()  # (C, E)
    for _ in range(KMEANS_ITERATIONS):
        blocks = torch.split(sample, QUERY_BLOCK)
        cell = torch.cat([(block @ centers.T).argmax(dim=1) for block in blocks])  # (S,)
        sums = torch.zeros_like(centers).index_add_(0, cell, sample)
        lengths = sums.norm(dim=1, keepdim=True)
        centers = torch.where(lengths > 0, sums / lengths.clamp(min=1e-9), centers)
    return centers


def iter_blocks(items: Integers, size: int) -> Iterator[Integers]:
    """The items in blocks of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _tensor(values: NDArray[np.float32], device: Device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)
