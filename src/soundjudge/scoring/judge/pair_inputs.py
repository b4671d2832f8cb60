"""What callers pass as sounds and texts, as lists: paired by position, whatever holds them."""

import math
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from soundjudge.errors import SoundjudgeError

Sound: TypeAlias = Path | tuple[Any, float]

FORMS = "a path, (samples, sample rate), or {'array': ..., 'sampling_rate': ...}"


def list_pairs(sounds: object, texts: object) -> tuple[list[Sound], list[str]]:
    """Both as lists of the same length. Raises SoundjudgeError."""
    listed, written = list_sounds(sounds), list_texts(texts)
    if len(listed) != len(written):
        raise SoundjudgeError(
            f"there are {len(listed)} sounds and {len(written)} texts: give one text per sound"
        )
    return listed, written


def list_sounds(sounds: object) -> list[Sound]:
    """Paths, or samples with their sample rate in Hz, by position. Raises SoundjudgeError."""
    if isinstance(sounds, str | PathLike):
        raise SoundjudgeError(f"sounds is one path, {str(sounds)!r}: give a list of sounds")
    if isinstance(sounds, tuple) and len(sounds) == 2 and _is_rate(sounds[1]):
        raise SoundjudgeError("sounds is one pair of samples and rate: give a list of sounds")
    return [_sound(sound, position) for position, sound in enumerate(_items(sounds, "sounds"))]


def list_texts(texts: object) -> list[str]:
    """Texts by position, each a str. Raises SoundjudgeError."""
    if isinstance(texts, str):
        raise SoundjudgeError("texts is one text: give a list of texts, one per sound")
    listed = _items(texts, "texts")
    for position, text in enumerate(listed):
        if not isinstance(text, str):  # NaN is what pandas has for an empty cell
            raise SoundjudgeError(
                f"texts[{position}] is {_describe(text)}: give a text for each sound"
            )
    return [str(text) for text in listed]


def _items(values: Any, name: str) -> list[Any]:  # noqa: ANN401
    # Iteration goes by position where [] of a pandas Series goes by label.
    if isinstance(values, Mapping | bytes | set | frozenset):
        raise SoundjudgeError(
            f"{name} is a {type(values).__name__}, which has no order: give a list"
        )
    if getattr(values, "ndim", 1) != 1 or not isinstance(values, Iterable):
        shape = getattr(values, "shape", None)
        what = _describe(values) if shape is None else f"an array or frame of shape {tuple(shape)}"
        raise SoundjudgeError(f"{name} is {what}: give a list, or one column")
    return list(values)


def _sound(sound: Any, position: int) -> Sound:  # noqa: ANN401
    where = f"sounds[{position}]"
    if isinstance(sound, str | PathLike):
        return Path(sound)
    if isinstance(sound, Mapping):
        if sound.get("array") is not None and "sampling_rate" in sound:
            return sound["array"], _rate(sound["sampling_rate"], where)
        if isinstance(sound.get("path"), str) and sound.get("bytes") is None:
            return Path(sound["path"])
        raise SoundjudgeError(f"{where} has the keys {', '.join(map(str, sound))}: give {FORMS}")
    if isinstance(sound, tuple | list) and len(sound) == 2:
        samples, rate = sound
        if _is_rate(samples) and not _is_rate(rate):
            raise SoundjudgeError(f"{where} is (sample rate, samples): give (samples, sample rate)")
        if _is_rate(rate) and not _is_rate(samples) and not isinstance(samples, str):
            return samples, _rate(rate, where)
    raise SoundjudgeError(f"{where} is {_describe(sound)}: give {FORMS}")


def _is_rate(value: object) -> bool:
    """Whether it is a number, of any kind."""
    if isinstance(value, bool | str):
        return False
    return isinstance(value, int | float | np.number) or getattr(value, "shape", None) == ()


def _rate(value: Any, where: str) -> float:  # noqa: ANN401
    try:
        rate = float(value)
    except (TypeError, ValueError) as error:
        raise SoundjudgeError(f"{where}: its sample rate {value!r} is no number") from error
    if not math.isfinite(rate) or rate <= 0:
        raise SoundjudgeError(f"{where}: its sample rate is {rate:g}: give it in Hz, above 0")
    return rate


def _describe(value: object) -> str:
    if isinstance(value, int | float | np.number | None):
        return repr(value)
    return f"a {type(value).__name__}"
