"""The repository, for tests in any folder: where it is, its params, its stages and benchmarks."""

import importlib.util
import re
import runpy
import sys
from contextlib import chdir
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import yaml

ROOT = Path(__file__).resolve().parents[1]
STAGES = ROOT / "stages"


def run_stage(name: str, *arguments: str, folder: Path | None = None) -> None:
    """Runs stages/<name>.py as its command does, in this process; `folder` holds params.yaml."""
    with chdir(folder or Path.cwd()):
        run_script(STAGES / f"{name}.py", *arguments)


def run_script(path: Path | str, *arguments: str) -> None:
    """Runs a script as `python path arguments` does, in this process."""
    with mock.patch.object(sys, "argv", [str(path), *arguments]):
        runpy.run_path(str(path), run_name="__main__")


def params(**changes: Any) -> dict[str, Any]:
    """params.yaml with other values: params(caption__seed=2) changes caption.seed.

    A mapping is laid over the section that is there, so that a new key breaks no test.
    """
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for dotted, value in changes.items():
        *outer, last = dotted.split("__")
        section = values
        for key in outer:
            section = section[key]
        section[last] = _merge(section.get(last), value)
    return values


def _merge(present: Any, change: Any) -> Any:
    if isinstance(present, dict) and isinstance(change, dict):
        return present | {key: _merge(present.get(key), value) for key, value in change.items()}
    return change


def write_params(folder: Path, **changes: Any) -> None:
    """Writes those params to folder/params.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params(**changes)), encoding="utf-8")


def load_benchmark(name: str) -> ModuleType:
    """benchmarks/<name>.py as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"benchmarks/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def benchmark_row(page: str, beginning: str) -> list[str]:
    """The cells of the first row of benchmarks/<page>.md that begins so."""
    text = (ROOT / f"benchmarks/{page}.md").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(beginning)}.*$", text, re.MULTILINE)
    assert found, beginning
    return [cell.strip() for cell in found[0].strip("|").split("|")]
