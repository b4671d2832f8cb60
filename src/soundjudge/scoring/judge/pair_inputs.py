"""What callers pass as sounds and texts, as lists: paired by position, whatever holds them.

B sounds, C channels, T samples.
"""

import io
import math
import os
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from soundjudge.data.audio import audio
from soundjudge.data.audio.flags import USUAL_RATES
from soundjudge.errors import AudioError, SoundjudgeError
from soundjudge.scoring.judge import argument_order

NO_SAMPLES = (str, bytes, PathLike)
FORMS = (
    "a path, bytes, (samples, sample rate), {'array': ..., 'sampling_rate': ...}, or samples with "
    "sample_rate="
)


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundInput:
    """A path, the bytes of a file, or samples with their sample rate in Hz."""

    where: str  # of errors, such as "sounds[3]"
    path: Path | None = None
    content: bytes | None = None
    samples: Any = None  # array or tensor, (T,), (T, C) or (C, T); or a decoder of torchcodec
    sample_rate: float = 0.0

    @property
    def key(self) -> Hashable:
        """Equal where two are certainly the same sound."""
        if self.path is not None:
            return self.path
        return id(self.samples if self.content is None else self.content), self.sample_rate

    def read(self) -> audio.Sound:
        """The waveform at 16 kHz, with flags. Raises AudioError."""
        if self.path is not None:
            return audio.read_sound(self.path)
        try:
            if self.content is not None:
                return _decode(self.content)
            if _is_decoder(self.samples):
                decoded = self.samples.get_all_samples()  # its data are (C, T)
                return audio.sound_from_samples(decoded.data.T, decoded.sample_rate)
            return audio.sound_from_samples(self._columns(), self.sample_rate)
        except RuntimeError as error:  # torchcodec's
            raise AudioError(self.where, "undecodable", str(error).split("\n")[0]) from error
        except AudioError as error:
            raise AudioError(self.where, error.reason, error.detail) from error

    def _columns(self) -> Any:  # noqa: ANN401
        """The samples as (T,) or (T, C)."""
        shape = tuple(getattr(self.samples, "shape", ()))
        if len(shape) == 2 and 1 < min(shape) <= max(shape) <= audio.MOST_CHANNELS:
            raise AudioError(
                self.where, "of a doubtful shape", f"{shape} may be (T, C) or (C, T): give (T,)"
            )
        if len(shape) == 2 and shape[0] < shape[1] and shape[0] <= audio.MOST_CHANNELS:
            return self.samples.T
        return self.samples  # as it stands: the reader refuses what is no sound


def _decode(content: bytes) -> audio.Sound:
    with TemporaryDirectory() as folder:  # the reader maps files
        path = Path(folder) / "sound"
        path.write_bytes(content)
        return audio.read_sound(path)


def list_pairs(
    sounds: object, texts: object, sample_rate: float | None = None
) -> tuple[list[SoundInput], list[str]]:
    """Both as lists of the same length. Raises SoundjudgeError."""
    listed, written = list_sounds(sounds, sample_rate), list_texts(texts)
    if len(listed) != len(written):
        raise SoundjudgeError(
            f"there are {len(listed)} sounds and {len(written)} texts: give one text per sound"
        )
    if listed:  # whoever swaps sounds and texts swaps all: the first pair tells
        paths = [] if listed[0].path is None else [listed[0].path]
        argument_order.check_order(paths, written[0], "sounds first, then texts")
    return listed, written


def list_sounds(sounds: Any, sample_rate: float | None = None) -> list[SoundInput]:  # noqa: ANN401
    """The sounds by position. Raises SoundjudgeError.

    `sample_rate` in Hz is that of samples without one, and of a whole batch (B, T) or (B, C, T).
    """
    if isinstance(sounds, str | PathLike):
        raise SoundjudgeError(f"sounds is one path, {str(sounds)!r}: give a list of sounds")
    if isinstance(sounds, tuple) and len(sounds) == 2 and _is_rate(sounds[1]):
        if getattr(sounds[0], "ndim", 0) != 3:
            raise SoundjudgeError("sounds is one pair of samples and rate: give a list of sounds")
        sounds, sample_rate = sounds
    if isinstance(sounds, io.IOBase | bytearray | memoryview) or _is_decoder(sounds):
        raise SoundjudgeError(f"sounds is one sound, a {type(sounds).__name__}: give a list")
    rate = None if sample_rate is None else _rate(sample_rate, "sample_rate")
    is_batch = rate is not None and getattr(sounds, "ndim", 1) in (2, 3)
    items = list(sounds) if is_batch else _items(sounds, "sounds")
    if is_batch and sounds.ndim == 3:
        items = [item.T for item in items]  # (T, C)
    return [_sound(sound, f"sounds[{position}]", rate) for position, sound in enumerate(items)]


def check_batch_size(batch_size: object) -> int:
    """The same number. Raises SoundjudgeError."""
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise SoundjudgeError(f"batch_size is {batch_size!r}: give a whole number from 1 on")
    return int(batch_size)


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


def _sound(sound: Any, where: str, rate: float | None) -> SoundInput:  # noqa: ANN401
    if isinstance(sound, str | PathLike):
        return SoundInput(where=where, path=_path(sound, where))
    if isinstance(sound, io.BytesIO):  # all of it, wherever someone has read to
        return SoundInput(where=where, content=sound.getvalue())
    if isinstance(sound, io.IOBase):
        raise SoundjudgeError(f"{where} is an open file: give its path, or its bytes")
    if _is_decoder(sound):
        return SoundInput(where=where, samples=sound)
    if isinstance(sound, bytes | bytearray | memoryview):
        return SoundInput(where=where, content=bytes(sound))
    if isinstance(sound, Mapping):
        return _record(sound, where)
    if isinstance(sound, tuple | list) and len(sound) == 2:
        samples, of_sound = sound
        if _is_rate(samples) and not _is_rate(of_sound):
            raise SoundjudgeError(f"{where} is (sample rate, samples): give (samples, sample rate)")
        if _is_rate(of_sound) and not _is_rate(samples) and not isinstance(samples, NO_SAMPLES):
            return SoundInput(where=where, samples=samples, sample_rate=_rate(of_sound, where))
    if rate is not None and getattr(sound, "ndim", 0) in (1, 2):
        return SoundInput(where=where, samples=sound, sample_rate=rate)
    raise SoundjudgeError(f"{where} is {_describe(sound)}: give {FORMS}")


def _record(sound: Mapping[Any, Any], where: str) -> SoundInput:
    """What datasets of the hub hold."""
    if sound.get("array") is not None and "sampling_rate" in sound:
        rate = _rate(sound["sampling_rate"], where)
        return SoundInput(where=where, samples=sound["array"], sample_rate=rate)
    if isinstance(sound.get("bytes"), bytes | bytearray | memoryview):
        return SoundInput(where=where, content=bytes(sound["bytes"]))
    if isinstance(sound.get("path"), str | PathLike) and sound.get("bytes") is None:
        return SoundInput(where=where, path=_path(sound["path"], where))
    raise SoundjudgeError(f"{where} has the keys {', '.join(map(str, sound))}: give {FORMS}")


def _path(path: "str | PathLike[Any]", where: str) -> Path:
    name = os.fsdecode(os.fspath(path))
    if not name.strip() or "\0" in name:
        raise SoundjudgeError(f"{where} is the path {name!r}, and no file has it: give {FORMS}")
    return Path(name)


def _is_decoder(value: object) -> bool:
    """Whether it is a decoder of torchcodec: what datasets of the hub hold from version 4 on."""
    return callable(getattr(value, "get_all_samples", None))


def _is_rate(value: object) -> bool:
    """Whether it is a number, of any kind."""
    if isinstance(value, bool | str):
        return False
    return isinstance(value, int | float | np.number) or getattr(value, "shape", None) == ()


def _rate(value: Any, where: str) -> float:  # noqa: ANN401
    try:
        rate = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise SoundjudgeError(f"{where}: its sample rate {value!r} is no number") from error
    if not math.isfinite(rate) or rate <= 0:
        raise SoundjudgeError(f"{where}: its sample rate is {rate:g}: give it in Hz, above 0")
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if kind in ("bfloat16", "float16") and rate not in USUAL_RATES:
        raise SoundjudgeError(
            f"{where}: its sample rate is {rate:g} as {kind}, which rounds: give an integer"
        )
    return rate


def _describe(value: object) -> str:
    if isinstance(value, int | float | np.number | None):
        return repr(value)
    return f"a {type(value).__name__}"
