"""Deltas of weights: exact whatever the weights are, and nothing of what did not change."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soundjudge.clap.encoders import deltas
from soundjudge.errors import SoundjudgeError

# Every bit pattern: denormal numbers, both zeros, infinities and NaNs among them.
PATTERNS = arrays.arrays(np.uint32, 16, elements=st.integers(0, 2**32 - 1))


def weights(patterns: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(patterns.view(np.float32).copy())


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(PATTERNS, PATTERNS)
def test_base_and_delta_give_back_the_tuned_weights_to_the_last_bit(base, tuned):
    computed = deltas.compute_deltas({"a": weights(base)}, {"a": weights(tuned)})
    if not computed:
        assert np.array_equal(base, tuned)
        return
    again = deltas.apply_deltas({"a": weights(base)}, computed)["a"]
    assert again.dtype == torch.float32
    assert np.array_equal(again.numpy().view(np.uint32), tuned)


def test_a_difference_of_the_numbers_would_be_rounded_where_a_delta_is_not():
    base, tuned = torch.tensor([1.0, 3e-8]), torch.tensor([1e-8, 1.0])
    assert not torch.equal(base + (tuned - base), tuned)
    computed = deltas.compute_deltas({"a": base}, {"a": tuned})
    assert torch.equal(deltas.apply_deltas({"a": base}, computed)["a"], tuned)


def test_a_delta_counts_the_numbers_between_two_weights():
    base = torch.tensor([1.0, -2.0, 0.5])
    tuned = torch.from_numpy(np.nextafter(base.numpy(), np.float32(9), dtype=np.float32))
    # Away from 0 the pattern grows, on both sides of it.
    assert deltas.compute_deltas({"a": base}, {"a": tuned})["a"].tolist() == [1, -1, 1]


def test_what_did_not_change_has_no_delta():
    base = {"a": torch.ones(2), "b": torch.ones(3, 1), "c": torch.zeros(1)}
    tuned = {"a": torch.ones(2), "b": torch.full((3, 1), 2.0), "c": -torch.zeros(1)}
    assert {name: tuple(d.shape) for name, d in deltas.compute_deltas(base, tuned).items()} == {
        "b": (3, 1),
        "c": (1,),  # -0 is another pattern than 0
    }


def test_weights_that_do_not_fit_are_refused_by_name():
    one = {"a": torch.ones(2)}
    with pytest.raises(SoundjudgeError, match="'a' is not in both, or not of one shape"):
        deltas.compute_deltas(one, {"a": torch.ones(3)})
    with pytest.raises(SoundjudgeError, match="'b' is not in both"):
        deltas.compute_deltas(one, one | {"b": torch.ones(2)})
    with pytest.raises(SoundjudgeError, match="float16: deltas are of float32 alone"):
        deltas.compute_deltas({"a": torch.ones(2).half()}, {"a": torch.ones(2).half()})
    with pytest.raises(SoundjudgeError, match="no weights 'b'"):
        deltas.apply_deltas(one, {"b": torch.ones(2, dtype=torch.int32)})
    with pytest.raises(SoundjudgeError, match="'a' is not in both, or not of one shape"):
        deltas.apply_deltas(one, {"a": torch.ones(3, dtype=torch.int32)})


def test_a_digest_is_of_names_shapes_and_values_in_the_order_of_names():
    digest = deltas.weights_digest({"b": torch.tensor([2.0]), "a": torch.tensor([[1.0, 1.0]])})
    content = b"a torch.float32 (1, 2)\n" + np.array([1, 1], np.float32).tobytes()
    content += b"b torch.float32 (1,)\n" + np.array([2], np.float32).tobytes()
    assert digest == hashlib.sha256(content).hexdigest()
