"""Nearest texts: exactly those of a plain loop, and nearly so through cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundjudge.labels.pairs import neighbors
from soundjudge.labels.pairs.neighbors import NeighborSearch


def directions(count: int, seed: int, size: int = 6) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def found(vectors: np.ndarray, **changes: object) -> np.ndarray:
    values = {"size": 3, "band": (0.2, 0.9), "pool": None, "seed": 0} | changes
    return neighbors.nearest_neighbors(
        lambda texts: vectors[texts], len(vectors), NeighborSearch(**values), "cpu"
    )


def plain(vectors: np.ndarray, size: int, low: float, high: float) -> list[list[int]]:
    made = []
    for vector in vectors:
        near = [(-cosine, other) for other, cosine in enumerate(vectors @ vector)]
        inside = [other for minus, other in sorted(near) if low <= -minus <= high][:size]
        made.append(inside + [-1] * (size - len(inside)))
    return made


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(0, 1000), st.integers(1, 5), st.integers(1, 50))
def test_the_exact_neighbours_are_those_of_a_plain_loop(count, seed, size, block):
    vectors, size = directions(count, seed), min(size, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "ROWS", block)
        patch.setattr(neighbors, "COLUMNS", block)
        assert found(vectors, size=size).tolist() == plain(vectors, size, 0.2, 0.9)


def test_cells_find_what_lies_in_clusters():
    rng = np.random.default_rng(0)
    centers = directions(30, 1, size=64)
    vectors = np.repeat(centers, 20, axis=0) + 0.05 * rng.normal(size=(600, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    exact = found(vectors, band=(0.5, 0.999))
    through = found(vectors, band=(0.5, 0.999), pool=150)
    assert (exact >= 0).all()
    assert (through == exact).mean() > 0.95
    assert np.array_equal(through, found(vectors, band=(0.5, 0.999), pool=150))


def test_cells_of_texts_without_clusters_still_give_texts_of_the_band():
    vectors = directions(500, 3)
    through = found(vectors, pool=100)
    cosines = np.take_along_axis(vectors @ vectors.T, np.maximum(through, 0), axis=1)
    inside = through >= 0
    assert inside.mean() > 0.9
    assert ((cosines >= 0.2 - 1e-6) & (cosines <= 0.9 + 1e-6))[inside].all()
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in through)


def test_a_text_looks_through_about_as_many_as_the_pool():
    vectors = directions(2000, 4)
    search = NeighborSearch(size=1, band=(-1.0, 1.0), pool=200, seed=0)
    cells = list(neighbors.search_cells(lambda texts: vectors[texts], len(vectors), search, "cpu"))
    seen = sum(len(seekers) * len(members) for seekers, members in cells) / len(vectors)
    assert 150 < seen < 300
    assert sorted(np.concatenate([members for _, members in cells])) == list(range(2000))


def test_a_pool_of_all_is_exact():
    vectors = directions(50, 5)
    assert np.array_equal(found(vectors, pool=50), found(vectors))


def test_equal_texts_everywhere_make_one_full_cell_and_no_error():
    vectors = np.ones((40, 4), np.float32) / 2
    assert (found(vectors, pool=8) == -1).all()  # all above the band
    assert (found(vectors, pool=8, band=(0.5, 1.0)) >= 0).all()
