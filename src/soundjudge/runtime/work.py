"""Work folders keyed by a fingerprint of parameters, inputs, code and libraries."""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from soundjudge.runtime import artifacts

# Packages whose versions a resumed run must share to end with the same bytes.
ARITHMETIC = (
    "numpy",
    "scipy",
    "torch",
    "torchaudio",
    "transformers",
    "accelerate",
    "soundfile",
    "soxr",
)


def fingerprint(params: object, inputs: Sequence[Path]) -> str:
    """16 hex digits that change with the params, the inputs' contents, the code and its libraries.

    The code is every soundjudge module loaded so far. All of an input is read, large files
    once: for shards, name the table that holds the clips' own sha256 instead.
    """
    modules = {
        name: module for name, module in sys.modules.items() if name.startswith("soundjudge")
    }
    sources = {name: getattr(module, "__file__", None) for name, module in modules.items()}
    record = {
        "params": _plain(params),
        "inputs": {path.as_posix(): artifacts.remembered_sha256(path) for path in inputs},
        "code": {name: artifacts.sha256(Path(file)) for name, file in sources.items() if file},
        "libraries": [_version(name) for name in ARITHMETIC],
    }
    canonical = json.dumps(record, sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return Path(value).as_posix()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} has no place in a fingerprint")


def work_folder(stage: str, params: object, inputs: Sequence[Path]) -> Path:
    """Creates work/<stage>/<fingerprint>/: for checkpoints to resume from, never an output."""
    folder = Path("work") / stage / fingerprint(params, inputs)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
