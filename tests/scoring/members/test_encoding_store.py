"""Encodings that were used last are kept, up to a number of bytes."""

import numpy as np
import torch

from soundjudge.scoring.members.pair_scorer import EncodingStore, num_bytes


def test_those_not_used_for_longest_give_way():
    store = EncodingStore(max_bytes=10)
    for key in "abc":
        store.put(key, key * 3)
    assert store.get("a") == "aaa"  # used: now b is the oldest
    store.put("d", "dddd")
    assert [store.get(key) for key in "abcd"] == ["aaa", None, "ccc", "dddd"]
    assert store.bytes == 10


def test_what_is_larger_than_the_store_is_not_kept_and_drives_nothing_out():
    store = EncodingStore(max_bytes=4)
    store.put("a", "aa")
    store.put("b", "bbbbb")
    assert (store.get("a"), store.get("b"), store.bytes) == ("aa", None, 2)
    store.put("a", "xx")
    assert (store.get("a"), store.bytes) == ("aa", 2)  # keys are contents: the first stands


def test_sizes_are_those_of_all_parts():
    parts = ("ab", (torch.zeros(3), [np.zeros(2, np.float64)]))
    assert num_bytes(parts) == 2 + 12 + 16
