"""A corpus has more shards than a process may open files, as systems start."""

import os
import resource

import numpy as np
import pytest

from soundjudge.data.arrays import array_store
from soundjudge.errors import SoundjudgeError

LIMIT = resource.RLIMIT_NOFILE


@pytest.fixture
def shards(tmp_path, monkeypatch):
    """A folder of 400 shards with a row each."""
    monkeypatch.setattr(array_store, "SHARD_BYTES", 4)
    rows = np.arange(400, dtype=np.float32)[:, None]
    array_store.write_rows(tmp_path / "rows", [f"k{n}" for n in range(400)], [rows])
    return tmp_path / "rows"


@pytest.fixture
def few_files():
    """Hardly more files may be opened, until the process asks for more."""
    soft, hard = resource.getrlimit(LIMIT)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(LIMIT, (free + 10, hard))
    yield
    resource.setrlimit(LIMIT, (soft, hard))


def test_all_shards_are_opened_where_the_system_allows_it(shards, few_files):
    store = array_store.ArrayStore(shards)
    np.testing.assert_array_equal(store.gather(["k399", "k0"]), [[399.0], [0.0]])


def test_where_it_allows_no_more_the_limit_is_named(shards, few_files, monkeypatch):
    soft, _ = resource.getrlimit(LIMIT)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    with pytest.raises(SoundjudgeError, match=rf"which allows {soft}: raise the limit"):
        array_store.ArrayStore(shards)
