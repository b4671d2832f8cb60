"""A sound and a text that were passed in each other's place."""

import os
from collections.abc import Sequence
from pathlib import Path

from soundjudge.data.audio.formats import SUFFIXES
from soundjudge.errors import SoundjudgeError


def check_order(sounds: Sequence[Path], text: str, usage: str) -> None:
    """Raises SoundjudgeError where a sound and the text stand in each other's place.

    `usage`: the command with its arguments in order, or that order.
    """
    names_sound = Path(text).suffix.lower() in SUFFIXES
    # Not by Path: a text may be longer than any file's name, and hold a NUL.
    is_file = os.path.isfile(text)  # noqa: PTH113
    bare = [sound for sound in sounds if sound.suffix.strip().lower() not in SUFFIXES]
    missing = [sound for sound in bare if not os.path.exists(sound)]  # noqa: PTH110
    if missing and (names_sound or is_file):
        raise SoundjudgeError(
            f"there is no sound {str(missing[0])!r}, and the text {text!r} is the name of a file: "
            f"the arguments look swapped, write {usage}"
        )
    if names_sound and is_file:
        raise SoundjudgeError(f"the text {text!r} is a sound's file that is here: write {usage}")
