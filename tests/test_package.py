"""Importing the package is light, and makes torch's companions importable."""

import subprocess
import sys
import tomllib

import pytest
from repository import ROOT

import soundjudge
from soundjudge import torchaudio_shim


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert soundjudge.__version__ == project["version"]


def test_all_files_that_are_no_code_are_shipped():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["soundjudge"]
    package = ROOT / "src/soundjudge"
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    others = {path for path in package.rglob("*") if path.is_file()}
    code = {path for path in others if path.suffix in (".py", ".pyc")}
    assert others - code == shipped


def test_importing_the_package_imports_no_torch():
    assert run("import sys, soundjudge; print('torch' in sys.modules)") == "False"


@pytest.mark.slow
def test_the_filterbank_of_torchaudio_works_beside_this_torch():
    code = (
        "import soundjudge.clap, torch; from torchaudio.compliance import kaldi;"
        "print(tuple(kaldi.fbank(torch.ones(1, 1600)).shape))"
    )
    assert run(code) == "(8, 23)"


@pytest.mark.slow
def test_models_of_transformers_import_beside_this_torch():
    code = "import soundjudge.clap; from transformers import ClapModel as m; print(m.__name__)"
    assert run(code) == "ClapModel"


@pytest.mark.parametrize(
    ("torch", "companion", "needed"),
    [
        ("2.13.0+cpu", "2.11.0", True),
        ("2.13.0+cpu", "2.11.0+cpu", False),
        ("2.13.0+cpu", "absent", False),
        ("2.11.0+cu130", "2.11.0", False),
        ("2.13.0", "2.11.0", False),
    ],
)
def test_a_stub_stands_in_only_for_a_cuda_companion_of_a_cpu_torch(
    monkeypatch, torch, companion, needed
):
    versions = {"torch": torch, "torchvision": companion}
    monkeypatch.setattr(torchaudio_shim, "_version", versions.__getitem__)
    assert torchaudio_shim._needs_stub("torchvision", "torchvision._not_imported") is needed


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Jury'"):
        soundjudge.Jury  # noqa: B018
