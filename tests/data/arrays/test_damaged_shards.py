"""A shard that a full disk or a copy has damaged is one sentence."""

from pathlib import Path

import numpy as np
import pytest

from soundjudge.data.arrays import array_store
from soundjudge.errors import SoundjudgeError


@pytest.mark.parametrize(
    "damage", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'(((\n"]
)
def test_a_damaged_shard_says_which_stage_to_run_again(tmp_path: Path, damage: bytes):
    path = tmp_path / "00000.npy"
    path.write_bytes(damage)
    with pytest.raises(SoundjudgeError, match=r"00000\.npy cannot be read: run the stage"):
        array_store.open_memmap(path)
    np.save(path, np.arange(3))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SoundjudgeError, match="cannot be read"):
        array_store.open_memmap(path)
