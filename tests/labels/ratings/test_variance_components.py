import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundjudge.labels.ratings.rating_arrays import RatingArrays
from soundjudge.labels.ratings.variance_components import estimate_components


def crossed(pair, listener, score):
    pair, listener = np.asarray(pair, np.int32), np.asarray(listener, np.int32)
    ids = np.array([f"l{number}" for number in range(listener.max() + 1)])
    score = np.asarray(score, np.float64)
    return RatingArrays(
        pair=pair, listener=listener, score=score, num_pairs=int(pair.max()) + 1, listener_ids=ids
    )


def test_a_full_table_by_the_textbook_analysis_of_variance():
    table = np.array([[1, 2, 6], [4, 3, 9], [7, 9, 10], [2, 2, 5]], dtype=float)
    rows, columns = table.shape
    pair, listener = np.indices(table.shape)
    components = estimate_components(crossed(pair.ravel(), listener.ravel(), table.ravel()))
    between = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    remainder = table - between[0] - between[1] + table.mean()
    residual = np.sum(remainder**2) / ((rows - 1) * (columns - 1))
    assert components.residual == pytest.approx(residual)
    assert components.pair == pytest.approx((between[0].var(ddof=1) * columns - residual) / columns)
    assert components.listener == pytest.approx((between[1].var(ddof=1) * rows - residual) / rows)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
@pytest.mark.slow
def test_with_empty_cells_the_estimates_are_unbiased(seed):
    """E[y'Qy] = tr(Q V): the estimates' quadratic forms, by unit vectors, return V."""
    rng = np.random.default_rng(seed)
    cells = [(p, q) for p in range(5) for q in range(4) if (p, q) == (0, 0) or rng.random() < 0.7]
    pair = np.unique([p for p, _ in cells], return_inverse=True)[1]
    listener = np.unique([q for _, q in cells], return_inverse=True)[1]
    if min(len(set(pair)), len(set(listener))) < 3 or len(cells) < 10:
        return

    def estimates(score):
        components = estimate_components(crossed(pair, listener, score))
        return np.array([components.pair, components.listener, components.residual])

    unit = np.eye(len(cells))
    forms = np.zeros((3, len(cells), len(cells)))
    for i in range(len(cells)):
        for j in range(len(cells)):
            forms[:, i, j] = (estimates(unit[i] + unit[j]) - estimates(unit[i] - unit[j])) / 4
    causes = [pair[:, None] == pair, listener[:, None] == listener, unit]
    traces = [[np.trace(form @ cause) for cause in causes] for form in forms]
    assert np.allclose(traces, np.eye(3), atol=1e-6)


def test_what_the_design_cannot_tell_apart_is_shared():
    rng = np.random.default_rng(0)
    score = np.repeat(rng.normal(0, 2, 300), 4) + rng.normal(0, 1.5, 1200)
    components = estimate_components(crossed(np.repeat(np.arange(300), 4), np.arange(1200), score))
    assert components.listener == pytest.approx(components.residual)
    assert components.listener + components.residual == pytest.approx(1.5**2, rel=0.1)
    assert components.pair == pytest.approx(2**2, rel=0.2)


def test_equal_ratings_have_no_variance():
    components = estimate_components(crossed([0, 0, 1, 1], [0, 1, 0, 1], [5, 5, 5, 5]))
    assert [components.pair, components.listener, components.residual] == pytest.approx([0, 0, 0])
