"""The sha256 of a file's first download, kept beside it where nobody has published one."""

import re
from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts


def record_path(path: Path) -> Path:
    """Where the hash of a file's first download is kept, as sha256sum writes it."""
    return path.with_name(f"{path.name}.sha256")


def read_record(path: Path) -> str:
    """The 64 hex digits of a record. Raises SoundjudgeError."""
    digits = artifacts.read_text(path).partition(" ")[0]
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise SoundjudgeError(
            f"{path} holds no sha256: delete it, and the file beside it if you do not trust that"
        )
    return digits
