"""Nearest texts: exactly those of a plain loop, and nearly so by cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundjudge.labels.pairs import neighbors
from soundjudge.labels.pairs.neighbors import NeighborSearch


def directions(count: int, seed: int, size: int = 6) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def search(vectors: np.ndarray, **changes: object) -> np.ndarray:
    values = {"size": 3, "cosine_range": (0.2, 0.9), "pool": None, "seed": 0} | changes
    return neighbors.nearest_neighbors(
        lambda texts: vectors[texts], len(vectors), NeighborSearch(**values), "cpu"
    )


def plain_search(vectors: np.ndarray, size: int, low: float, high: float) -> list[list[int]]:
    rows = []
    for vector in vectors:
        near = [(-cosine, other) for other, cosine in enumerate(vectors @ vector)]
        inside = [other for minus, other in sorted(near) if low <= -minus <= high][:size]
        rows.append(inside + [-1] * (size - len(inside)))
    return rows


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(0, 1000), st.integers(1, 5), st.integers(1, 50))
def test_the_exact_neighbors_are_those_of_a_plain_loop(count, seed, size, block):
    vectors, size = directions(count, seed), min(size, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "QUERY_BLOCK", block)
        patch.setattr(neighbors, "CANDIDATE_BLOCK", block)
        assert search(vectors, size=size).tolist() == plain_search(vectors, size, 0.2, 0.9)


def test_cells_find_what_lies_in_clusters():
    rng = np.random.default_rng(0)
    centers = directions(30, 1, size=64)
    vectors = np.repeat(centers, 20, axis=0) + 0.05 * rng.normal(size=(600, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    exact = search(vectors, cosine_range=(0.5, 0.999))
    by_cells = search(vectors, cosine_range=(0.5, 0.999), pool=150)
    assert (exact >= 0).all()
    assert (by_cells == exact).mean() > 0.95
    assert np.array_equal(by_cells, search(vectors, cosine_range=(0.5, 0.999), pool=150))


def test_cells_of_texts_without_clusters_still_give_texts_of_the_band():
    vectors = directions(500, 3)
    by_cells = search(vectors, pool=100)
    cosines = np.take_along_axis(vectors @ vectors.T, np.maximum(by_cells, 0), axis=1)
    inside = by_cells >= 0
    assert inside.mean() > 0.9
    assert ((cosines >= 0.2 - 1e-6) & (cosines <= 0.9 + 1e-6))[inside].all()
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in by_cells)


def test_a_text_looks_through_about_as_many_as_the_pool():
    vectors = directions(2000, 4)
    config = NeighborSearch(size=1, cosine_range=(-1.0, 1.0), pool=200, seed=0)
    cells = list(neighbors.search_cells(lambda texts: vectors[texts], len(vectors), config, "cpu"))
    compared = sum(len(queries) * len(candidates) for queries, candidates in cells)
    assert 150 < compared / len(vectors) < 300
    assert sorted(np.concatenate([candidates for _, candidates in cells])) == list(range(2000))


def test_a_pool_of_all_is_exact():
    vectors = directions(50, 5)
    assert np.array_equal(search(vectors, pool=50), search(vectors))


def test_equal_texts_everywhere_make_one_full_cell_and_no_error():
    vectors = np.ones((40, 4), np.float32) / 2
    assert (search(vectors, pool=8) == -1).all()  # all above the band
    assert (search(vectors, pool=8, cosine_range=(0.5, 1.0)) >= 0).all()
