"""Class-balanced weights of scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundjudge.training.ranking.class_balance import class_weights


def test_a_class_weighs_one_over_its_effective_number():
    # Two scores in (1, 2], one in (9, 10]; beta .5: effective 1 + .5 = 1.5 and 1.
    # Weights 1/1.5, 1/1.5, 1, mean (2/1.5 + 1) / 3 = 7/9: so 6/7, 6/7, 9/7.
    weights = class_weights(np.array([1.5, 2.0, 9.5]), 0.5)
    assert weights == pytest.approx([6 / 7, 6 / 7, 9 / 7])


def test_without_beta_all_weigh_the_same():
    assert class_weights(np.array([0.0, 5.0, 5.1, 10.0]), 0.0).tolist() == [1, 1, 1, 1]


def test_near_one_every_class_weighs_the_same_in_all():
    scores = np.array([0.5] * 30 + [9.5] * 10)
    weights = class_weights(scores, 1 - 1e-9)
    assert weights[:30].sum() == pytest.approx(weights[30:].sum(), rel=1e-4)


def test_an_edge_belongs_to_the_class_below_and_zero_to_the_first():
    # 0 and 1 are one class, 1.1 is the next: 0 and 1 weigh less.
    weights = class_weights(np.array([0.0, 1.0, 1.1]), 0.9)
    assert weights[0] == weights[1] < weights[2]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50), st.floats(0, 0.999))
def test_weights_have_mean_one_and_rarer_classes_never_weigh_less(scores, beta):
    scores = np.array(scores)
    weights = class_weights(scores, beta)
    assert weights.mean() == pytest.approx(1, rel=1e-4)
    classes = [next((k for k, edge in enumerate(range(1, 10)) if s <= edge), 9) for s in scores]
    for i, one in enumerate(classes):
        for j, other in enumerate(classes):
            if classes.count(one) < classes.count(other):
                assert weights[i] >= weights[j] * (1 - 1e-5)
