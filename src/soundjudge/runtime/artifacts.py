"""Atomic writes, canonical file formats, and the sha256 of files."""

import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.file_system import begin_folder, flush_folder_to_disk, flush_to_disk
from soundjudge.runtime.rounding import SIGNIFICANT_DIGITS, round_floats

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

REMEMBERED_BYTES = 1 << 26  # files from here on are read once


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary sibling of the same suffix: `path` itself if the block succeeds."""
    temporary = _temporary(path)
    _remove(temporary)
    try:
        yield temporary
        if path.is_file():
            shutil.copymode(path, temporary)
        flush_to_disk(temporary)
        temporary.replace(path)
        flush_to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a new, empty sibling folder: it replaces all of `path` if the block succeeds.

    Raises SoundjudgeError while another run does the same.
    """
    temporary = _temporary(path)
    handle = begin_folder(temporary, path)
    try:
        yield temporary
        flush_folder_to_disk(temporary)
        old = path.with_name(f".old-{path.name}")
        _remove(old)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    except BaseException:
        _remove(temporary)  # not after the move: it may be another run's by then
        raise
    else:
        flush_to_disk(path.parent)
        _remove(old)
    finally:
        os.close(handle)


def _temporary(path: Path) -> Path:
    if not path.name:
        raise SoundjudgeError(f"{path} cannot be replaced: name a file or a folder in it")
    # A fixed name: the next run replaces what a killed one left behind.
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".part-{path.name}")


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


def write_json(path: Path, data: object, *, digits: int | None = SIGNIFICANT_DIGITS) -> None:
    """Writes `data` with sorted keys and so many significant digits; None rounds no float.

    A NaN or an infinity raises ValueError.
    """
    data = data if digits is None else round_floats(data, digits)
    try:
        text = json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"cannot write {path}: {error}") from error
    with atomic_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def write_metrics(path: Path, numbers: Mapping[str, object], headline: Sequence[str]) -> None:
    """Writes `numbers` to details/ beside `path`, and to `path` those that people compare.

    `headline`: names of entries, at any depth of nested mappings.
    """
    write_json(path.parent / "details" / path.name, numbers)
    write_json(path, _select(numbers, headline))


def _select(numbers: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    selected: dict[str, object] = {}
    for key, value in numbers.items():
        if isinstance(value, Mapping) and (inner := _select(value, names)):
            selected[key] = inner
        elif key in names:
            selected[key] = value
    return selected


def json_rows(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table for JSON, without empty cells."""
    rows = table.to_dict("records")
    return [{str(name): cell for name, cell in row.items() if cell == cell} for row in rows]


def check_readable(path: Path) -> None:
    """Raises SoundjudgeError unless `path` is a file that may be read; a pipe would never end."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb"):
                return
        reason = "it is no file"
    except OSError as error:
        reason = error.strerror or str(error)
    raise SoundjudgeError(f"{path} can't be read: {reason}")


def read_text(path: Path) -> str:
    """The contents of a text file; SoundjudgeError names the file if it is not one."""
    check_readable(path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SoundjudgeError(f"{path} is not UTF-8: {error}") from error


def read_json(path: Path) -> Any:  # noqa: ANN401  JSON is any of it
    """The contents of a JSON file; SoundjudgeError names the file if it is not one."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SoundjudgeError(f"{path} is not valid JSON: {error}") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """The contents of a JSON file that holds an object; SoundjudgeError for any other."""
    values = read_json(path)
    if not isinstance(values, dict):
        raise SoundjudgeError(f"{path} holds no JSON object: get it again")
    return values


def sha256(path: Path) -> str:
    """The sha256 of a file, or of a folder: the sorted relative names and contents of its files."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return _folder_sha256(path, sha256)


def remembered_sha256(path: Path) -> str:
    """As `sha256`, but large files are read once per user, then known by path, size and times."""
    if path.is_dir():
        return _folder_sha256(path, remembered_sha256)
    state = path.stat()
    if state.st_size < REMEMBERED_BYTES:
        return sha256(path)
    identity = (str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    memory = cache / "soundjudge" / "sha256" / hashlib.sha256(repr(identity).encode()).hexdigest()
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with memory.open("a+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # other processes wait while the first reads `path`
            file.seek(0)
            digits = file.read()
            if len(digits) != 64:  # new, or its process was killed
                digits = sha256(path)
                file.truncate(0)
                file.write(digits)
        return digits
    except OSError:  # where nothing can be remembered, it is read again
        return sha256(path)


def _folder_sha256(folder: Path, file_sha256: Callable[[Path], str]) -> str:
    digest = hashlib.sha256()
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*")}
    for name, file in sorted(files.items()):
        if file.is_file():
            digest.update(f"{name}\0{file_sha256(file)}\n".encode())
    return digest.hexdigest()


def save_tensors(path: Path, tensors: "Mapping[str, Tensor]") -> None:
    """Writes a safetensors file whose bytes depend on its contents alone."""
    from safetensors.torch import save_file

    contiguous = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    with atomic_file(path) as temporary:
        save_file(contiguous, temporary)


def load_tensors(path: Path) -> "dict[str, Tensor]":
    """The tensors of a safetensors file, on the CPU; SoundjudgeError names a file that is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_readable(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise SoundjudgeError(f"{path} is not a readable safetensors file: {error}") from error
    return tensors
