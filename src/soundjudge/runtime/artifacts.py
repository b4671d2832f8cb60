"""Atomic writes, canonical file formats, and work folders keyed by a fingerprint."""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

# Resuming under other versions of these would not end with the same bytes.
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


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary sibling of the same suffix: `path` itself if the block succeeds."""
    temporary = _temporary(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a new, empty sibling folder: it replaces all of `path` if the block succeeds."""
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        old = path.with_name(f".old-{path.name}")
        _remove(old)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        _remove(old)
    finally:
        _remove(temporary)


def _temporary(path: Path) -> Path:
    # A fixed name: what a killed run left behind is replaced by the next, not collected.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".part-{path.name}")
    _remove(temporary)
    return temporary


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Makes `target` the same file as `source`, or a copy of it where links are not possible."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def write_json(path: Path, data: object) -> None:
    """Writes `data` with sorted keys; a NaN or an infinity raises ValueError."""
    try:
        text = json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"cannot write {path}: {error}") from error
    with atomic_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:  # noqa: ANN401  JSON is any of it
    """The contents of a JSON file; ValueError names the file if it is not one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error


def sha256(path: Path) -> str:
    """The sha256 of a file, or of a folder: the sorted relative names and contents of its files."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    for name in sorted(files):
        digest.update(f"{name}\0{sha256(files[name])}\n".encode())
    return digest.hexdigest()


def fingerprint(params: object, inputs: Sequence[Path]) -> str:
    """16 hex digits that change with the params, the inputs' contents, the code and its libraries.

    The code is every soundjudge module loaded so far. All of an input is read: for shards, name the
    table that holds the clips' own sha256 instead.
    """
    modules = {
        name: module for name, module in sys.modules.items() if name.startswith("soundjudge")
    }
    sources = {name: getattr(module, "__file__", None) for name, module in modules.items()}
    record = {
        "params": _plain(params),
        "inputs": {path.as_posix(): sha256(path) for path in inputs},
        "code": {name: sha256(Path(file)) for name, file in sources.items() if file},
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
    """work/<stage>/<fingerprint>/, created: for a stage's checkpoints, never an output."""
    folder = Path("work") / stage / fingerprint(params, inputs)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_tensors(
    path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a safetensors file whose bytes depend on its contents alone."""
    from safetensors.torch import save_file

    ready = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    with atomic_file(path) as temporary:
        save_file(ready, temporary, metadata=dict(metadata) if metadata else None)
        _sort_metadata(temporary)


def _sort_metadata(path: Path) -> None:
    # safetensors writes its metadata in the order of a hash map, another one each time.
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
            text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
            assert len(text) <= size, f"the header of {path} grew from {size} to {len(text)} bytes"
            file.seek(8)
            file.write(text.ljust(size))


def load_tensors(path: Path) -> "dict[str, Tensor]":
    """The tensors of a safetensors file, on the CPU; ValueError names the file if it is not one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    return tensors
