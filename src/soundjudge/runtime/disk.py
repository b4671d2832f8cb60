"""What a crash of the machine must not undo."""

import os
from pathlib import Path


def flush_to_disk(path: Path) -> None:
    """Returns when the file's contents, or the folder's list of names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
