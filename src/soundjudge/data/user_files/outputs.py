"""The one rule for the output of every command.

An output is never written over an input, and over an existing file only if asked for. It is locked
for the length of the run, its folder is made, and a link's target is written.
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from soundjudge.errors import SoundjudgeError


@contextmanager
def locked_output(
    out: Path,
    inputs: Sequence[Path | None],
    suffixes: Sequence[str],
    *,
    overwrite: bool,
    resume: bool = False,
) -> Iterator[Path]:
    """Yields the file to write, which nobody else writes meanwhile. Raises SoundjudgeError.

    A run may go on (`resume`) or begin anew (`overwrite`) where `out` exists; `resume` stands for a
    command that has that option.
    """
    check_output(out, inputs, suffixes)
    target = follow_links(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock(out, target):
        if target.exists() and not (overwrite or resume):
            raise SoundjudgeError(
                f"{out} exists already: choose another output, --overwrite to replace it, or "
                "--resume where a command has that"
            )
        yield target


@contextmanager
def optional_output(
    out: Path | None, inputs: Sequence[Path | None], suffix: str, *, overwrite: bool
) -> Iterator[Path | None]:
    """`locked_output`; None where none is asked for."""
    if out is None:
        yield None
    else:
        with locked_output(out, inputs, (suffix,), overwrite=overwrite) as target:
            yield target


def check_output(out: Path, inputs: Sequence[Path | None], suffixes: Sequence[str]) -> None:
    """SoundjudgeError unless `out` is a file name of one of these kinds, and no input."""
    names = " or ".join(suffixes)
    if not out.name or out.is_dir():
        raise SoundjudgeError(f"{out} is a folder: name a {names} file in it")
    if out.suffix.lower() not in suffixes:
        raise SoundjudgeError(f"{out}: the output is a {names} file here: let it end in {names}")
    for path in inputs:
        if path is not None and is_same_file(out, path):
            raise SoundjudgeError(f"{out} is one of the files that are read: choose another output")
    parent = next(parent for parent in follow_links(out).parents if parent.exists())
    if not parent.is_dir():
        raise SoundjudgeError(f"{out}: {parent} is no folder: name another output")


def is_same_file(first: Path, second: Path) -> bool:
    """Whether both are one file, under whatever names."""
    if first.exists() and second.exists():
        return first.samefile(second)
    return follow_links(first) == follow_links(second)


def follow_links(path: Path) -> Path:
    """The file that a path leads to, links followed. Raises SoundjudgeError for a ring of links."""
    try:
        return path.resolve()
    except RuntimeError as error:
        raise SoundjudgeError(f"{path} is a link that leads to itself: remove it") from error


@contextmanager
def lock(out: Path, target: Path) -> Iterator[None]:
    """Keeps others from writing `target`, which messages name `out`. Raises SoundjudgeError."""
    path = target.with_name(target.name + ".lock")
    while True:
        # A link of that name would lead to a file of someone's, which is written here.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            process = os.read(handle, 20).decode("ascii", "replace").strip()
            os.close(handle)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise SoundjudgeError(f"{path} cannot be locked: {error.strerror}") from error
            raise SoundjudgeError(
                f"another run (process {process}) is writing {out}: wait for it, or choose another "
                "output"
            ) from error
        # A run that ended between the opening and the locking has removed the file.
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            break
        os.close(handle)
    if not re.fullmatch(rb"([0-9]+\n)?", os.read(handle, 20)):  # or what a killed run left
        os.close(handle)
        raise SoundjudgeError(f"{path} is there and no lock of a run: move it")
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
