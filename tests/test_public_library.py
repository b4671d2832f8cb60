"""What `import soundjudge` offers: the public names, and no torch before someone asks for it."""

import doctest
import importlib
import subprocess
import sys

import pytest

import soundjudge


def test_the_public_names_are_there():
    assert set(soundjudge.PUBLIC) | {"__version__"} == set(soundjudge.__all__)
    for name in soundjudge.__all__:
        assert getattr(soundjudge, name)
    with pytest.raises(AttributeError, match="no attribute 'jugde'"):
        _ = soundjudge.jugde


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(module, marks=pytest.mark.slow) if module.endswith("reports") else module
        for module in sorted(set(soundjudge.PUBLIC.values()))
    ],
)
def test_the_examples_in_docstrings_run(module):
    import pandas as pd

    found = doctest.testmod(importlib.import_module(module), extraglobs={"pd": pd})
    assert found.failed == 0


def test_importing_soundjudge_loads_neither_torch_nor_pandas():
    code = "import soundjudge, sys; assert not {'torch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
