"""What every test stands on: no network, CPU companions of torch, small sounds on disk."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()  # before a test module imports transformers


@pytest.fixture
def tone() -> Callable[..., NDArray[np.float32]]:
    """A sine (T,) at 16 kHz: tone(440.0, seconds=0.5)."""

    def make(hertz: float, seconds: float = 0.5, sample_rate: int = 16_000) -> NDArray[np.float32]:
        time = np.arange(round(seconds * sample_rate)) / sample_rate
        return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)

    return make


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder that is the working folder, as stages need it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
