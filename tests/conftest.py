"""What every test stands on: no network, CPU companions of torch, small sounds on disk."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")

import functools
import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer.testing
import untouched_repository
import yaml
from numpy.typing import NDArray
from processor_time import pytest_runtest_call as pytest_runtest_call
from tiny_cluster import two_nodes as two_nodes
from warm_python import warm_python as warm_python

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()  # before a test module imports transformers
untouched_repository.watch()
gc.disable()  # imports leave no garbage; `pytest_collection_finish` turns it on again

# What costs time and tests nothing: YAML without libyaml, writes that outlive a power failure, the
# text of each configuration for a log that nobody reads, and the command line built anew for each
# of 500 calls.
yaml.SafeLoader, yaml.SafeDumper = yaml.CSafeLoader, yaml.CSafeDumper
os.fsync = lambda _: None
typer.testing._get_command = functools.cache(typer.testing._get_command)


def pytest_collection() -> None:
    """Not at the import of this file: the process that only hands out tests needs no torch."""
    from transformers import PretrainedConfig

    PretrainedConfig.__repr__ = object.__repr__


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


def pytest_collection_finish() -> None:
    """What was imported stays: no later collection of garbage walks through its million objects."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)  # when those of other marks are gone
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests first in both halves, which two processes begin with.

    At the end one process would wait for the other; and only one builds a warm Python.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    fast = [item for item in items if not item.get_closest_marker("slow")]
    warm = [item for item in slow if "warm_python" in getattr(item, "fixturenames", ())]
    warm.sort(key=lambda item: item.path.name != "test_whole_pipeline.py")
    others = [item for item in slow if "warm_python" not in getattr(item, "fixturenames", ())]
    middle = max(len(items) // 2 - len(warm), 0)
    items[:] = [*warm, *fast[:middle], *others, *fast[middle:]]
