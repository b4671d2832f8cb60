"""No test writes into the repository: what tries fails at that line, whatever would catch errors.

What it left would be another run's input, or stand in a commit. Processes of their own are not
watched; tests start them in temporary folders.
"""

import functools
import os
import sys
from pathlib import Path

from repository import ROOT

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Python's audit events that change a folder, and which argument is the path; the last is dir_fd.
CHANGES = {"mkdir": 0, "rename": 1, "symlink": 1, "link": 1, "remove": 0, "rmdir": 0}
EVENTS = {f"os.{name}": position for name, position in CHANGES.items()}
MOVES = {"os.rename", "os.symlink", "os.remove", "os.rmdir"}  # another folder may have a name then
CACHES = {"__pycache__", ".pytest_cache", ".hypothesis"}
NEW_CACHE = "pytest-cache-files-"  # what .pytest_cache is until it is whole


class RepositoryChanged(BaseException):
    """Of no class that a test or the package catches."""


def watch() -> None:
    """From now on, for as long as the process lives."""
    root = os.path.realpath(ROOT) + os.sep

    @functools.cache
    def real_folder(folder: str, _: str) -> str:
        """What a folder is; the other argument is the working folder."""
        return os.path.realpath(folder)

    def refuse(event: str, values: tuple) -> None:
        if event == "open":
            path, _, flags = values
            if not flags & WRITING:
                return
        elif event in EVENTS:
            path = values[EVENTS[event]]
            if values[-1] != -1:
                return
        else:
            return
        if isinstance(path, int) or path is None:
            return
        path = os.fsdecode(path)
        # Opening a link opens what it names; the others change the link.
        if event == "open" and os.path.islink(path):  # noqa: PTH114  here and below a million times
            real = os.path.realpath(path)
        else:
            folder, name = os.path.split(path.rstrip(os.sep))
            here = "" if folder.startswith(os.sep) else os.getcwd()  # noqa: PTH109
            real = os.path.join(real_folder(folder, here), name)  # noqa: PTH118
        if event in MOVES:
            real_folder.cache_clear()
        if real.startswith(root) and NEW_CACHE not in real and CACHES.isdisjoint(Path(real).parts):
            raise RepositoryChanged(
                f"{event}: {real} is of the repository: use in_folder, tmp_path"
            )

    sys.addaudithook(refuse)
