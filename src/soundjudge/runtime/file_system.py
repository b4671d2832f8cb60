"""What an atomic write needs of the file system: a lock, and its bytes on the disk."""

import fcntl
import os
import shutil
from pathlib import Path

from soundjudge.errors import SoundjudgeError


def begin_folder(folder: Path, path: Path) -> int:
    """Makes `folder` anew, for a run that writes there what will be `path`; a handle to close.

    The handle locks the folder: of several runs that begin at once one goes on, and a lock ends
    with its process. Raises SoundjudgeError for the others.
    """
    leftover = _lock(folder, path) if folder.is_dir() and not folder.is_symlink() else None
    try:
        if leftover is None:
            folder.unlink(missing_ok=True)
        else:
            shutil.rmtree(folder)
        folder.mkdir()
        handle = _lock(folder, path)
        if os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
        os.close(handle)
        raise FileExistsError
    except (FileExistsError, FileNotFoundError, IsADirectoryError) as error:
        raise _another_run(path) from error
    finally:
        if leftover is not None:
            os.close(leftover)


def _lock(folder: Path, path: Path) -> int:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise _another_run(path) from error
    except OSError:  # a file system without locks
        pass
    return handle


def _another_run(path: Path) -> SoundjudgeError:
    sentence = f"another run is writing {path}: wait for it, or choose another output"
    return SoundjudgeError(sentence)


def flush_to_disk(path: Path) -> None:
    """Returns when the file's contents, or the folder's list of names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_folder_to_disk(folder: Path) -> None:
    """Returns when all that is in the folder, and its name for it, is on the disk."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            flush_to_disk(path)
    flush_to_disk(folder)
