"""What an atomic write needs of the file system: a lock, and its bytes on the disk."""

import fcntl
import os
from pathlib import Path

from soundjudge.errors import SoundjudgeError


def lock_folder(folder: Path, path: Path) -> int | None:
    """Locks `folder`, which a run writes before it is `path`: a handle to close, None for none.

    A lock ends with its process. Raises SoundjudgeError while another run holds it.
    """
    if not folder.is_dir():
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise SoundjudgeError(
            f"another run is writing {path}: wait for it, or choose another output"
        ) from error
    except OSError:  # a file system without locks
        pass
    return handle


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
