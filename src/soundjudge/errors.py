"""Errors that are for people: one sentence with the file, row or key and what to do about it.

Everything else that is raised is a fault of the program and traces back.
"""

import errno
import os
import shutil
import sys
from types import TracebackType

DEBUG = "SOUNDJUDGE_DEBUG"
"""The environment variable that shows tracebacks of errors for people, too."""


class SoundjudgeError(ValueError):
    """Something that a user can mend; the message says what and how."""


class ParamsError(SoundjudgeError):
    """A parameter that is missing, unknown or of the wrong type; the message names its key."""


class HubError(SoundjudgeError):
    """The hub does not give a folder out, or can't be reached."""


class ReliabilityError(SoundjudgeError):
    """Ratings whose agreement cannot be measured."""


class AudioError(SoundjudgeError):
    """A sound that cannot be used; `reason` is one of a few fixed words, for tables."""

    def __init__(self, where: object, reason: str, detail: str) -> None:
        super().__init__(f"{where} is {reason}: {detail}")
        self.reason = reason
        self.detail = detail


def is_disk_full(error: BaseException) -> bool:
    """Whether there was no room to write, on the disk or in its owner's share of it."""
    full = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, shutil.Error):  # of a folder's copy, which states its reasons as text
        return any(f"[Errno {number}]" in str(error) for number in full)
    return isinstance(error, OSError) and error.errno in full


def hide_tracebacks() -> None:
    """From here on this process ends with a sentence alone where its error is for people.

    A stage is such a process; whoever has set a hook of their own keeps it.
    """
    if sys.excepthook is sys.__excepthook__ and not os.environ.get(DEBUG):
        sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    sentence = stage_sentence(error)
    if sentence is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        sys.stderr.write(f"soundjudge: {sentence}\n")


def stage_sentence(error: BaseException) -> str | None:
    """What a user can correct after a stage, on one line; None for a bug."""
    if isinstance(error, SoundjudgeError):
        return " ".join(str(error).split())
    if is_disk_full(error):
        return "the disk is full: make room and run again"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename} does not exist: run the stage that writes it (dvc repro)"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, KeyboardInterrupt):
        return "stopped: what is complete is kept, run again to go on"
    return None
