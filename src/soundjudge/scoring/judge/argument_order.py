"""A sound and a text that were passed in each other's place."""

import os
from pathlib import Path

from soundjudge.errors import SoundjudgeError


def check_order(sound: Path | None, text: str) -> None:
    """Raises SoundjudgeError where the sound is no file and the text is the name of one."""
    # Not by Path: a text may be longer than any file's name.
    if sound is not None and os.path.isfile(text) and not os.path.isfile(sound):  # noqa: PTH113
        raise SoundjudgeError(
            f"there is no sound {str(sound)!r}, and the text {text!r} is the name of a file: "
            "sounds and texts look swapped, sounds come first"
        )
