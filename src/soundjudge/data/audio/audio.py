"""Path or samples -> waveform (T,): mono, 16 kHz, float32 in -1 to 1; the only audio reader.

T = number of samples at 16 kHz, N = number of frames at another rate, C = number of channels.
Any sample rate and number of channels; channels are averaged, then resampled (both are linear, so
the order does not matter). Files are read by content: their suffix does not matter. A length that
a file states is a hint: all that is there is read, or the file is refused with the reason. What
is done with cancelling channels, peaks above full scale and silence: see `flags`.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import decoding
from soundjudge.data.audio.flags import Power, SoundFlags, flags
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import AudioError

MOST_CHANNELS = 64


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A waveform (T,) and what is to be known of it."""

    wave: NDArray[np.float32]
    flags: SoundFlags


def read_audio(path: Path, first_seconds: float | None = None) -> NDArray[np.float32]:
    """The sound in a file, (T,); at most its first seconds if `first_seconds` says how many.

    Reads what libsndfile reads: wav, flac, ogg, opus, mp3, aiff and more; and m4a, aac, webm and
    more if PyAV is installed. Raises AudioError.
    """
    return read_sound(path, first_seconds).wave


def read_sound(path: Path, first_seconds: float | None = None) -> Sound:
    """As `read_audio`, with flags."""
    _refuse_other_than_files(path)
    decoded = decoding.decode(path, first_seconds)
    return _sound(decoded, str(path))


def from_samples(samples: Any, sample_rate: float) -> NDArray[np.float32]:  # noqa: ANN401
    """An array or tensor, (N,) or (N, C), at any rate -> (T,).

    Floats are expected in -1 to 1; int16, int32 and uint8 are full-scale PCM; int32 of a peak that
    16 bits hold is refused. Raises AudioError.
    """
    return sound_from_samples(samples, sample_rate).wave


def sound_from_samples(samples: Any, sample_rate: float) -> Sound:  # noqa: ANN401
    """As `from_samples`, with flags."""
    array = _as_array(samples)
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] > MOST_CHANNELS):
        raise AudioError(
            "the sound",
            "of a wrong shape",
            f"{array.shape}, give (samples,) or (samples, channels)",
        )
    rate = decoding.check_rate(sample_rate, "the sound")
    columns = array[:, np.newaxis] if array.ndim == 1 else array  # (N, C)
    power = Power()
    mean = decoding.mean_of_channels(_as_float(columns), "the sound", power)
    return _sound(decoding.Decoded(parts=[(mean, rate)], power=power), "the sound")


def _refuse_other_than_files(path: Path) -> None:
    if "\0" in str(path):
        raise AudioError(repr(str(path)), "missing", "no name of a file holds a NUL")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
            raise AudioError(path, "no file", f"it is {what}")
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise AudioError(path, "missing", "there is no such file") from error
    except OSError as error:
        raise AudioError(path, "unreadable", error.strerror or str(error)) from error
    if status.st_size == 0:
        raise AudioError(path, "empty", "the file has no bytes")


def _sound(decoded: decoding.Decoded, where: str) -> Sound:
    """Parts (N,) at any rates -> a waveform (T,), within -1 to 1."""
    waves = [_resample(mean, rate) for mean, rate in decoded.parts]
    if not waves:
        raise AudioError(where, "empty", "it holds no samples")
    wave = waves[0] if len(waves) == 1 else np.concatenate(waves)
    if not wave.size:
        raise AudioError(where, "empty", "it is shorter than one sample at 16 kHz")
    rate = decoded.parts[0][1]
    sound_flags = flags(
        wave, rate, decoded.power, sample_rate=SAMPLE_RATE, incomplete=decoded.incomplete
    )
    return Sound(wave=np.clip(wave, -1.0, 1.0, out=wave), flags=sound_flags)


def _resample(mean: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """(N,) at any rate -> (T,)."""
    if rate == SAMPLE_RATE:
        return mean
    import soxr

    wave: NDArray[np.float32] = soxr.resample(mean, rate, SAMPLE_RATE)
    return wave


def _as_array(samples: Any) -> NDArray[Any]:  # noqa: ANN401
    """An array of numpy, from a tensor on whatever device, or a list. Raises AudioError."""
    if np.ma.is_masked(samples):
        raise AudioError("the sound", "masked", "some samples are masked, fill them")
    if not hasattr(samples, "detach"):
        try:
            return np.asarray(samples)
        except (ValueError, RecursionError) as error:
            detail = "its rows have different lengths, give (samples,) or (samples, channels)"
            raise AudioError("the sound", "of a wrong shape", detail) from error
    try:
        # numpy has no bfloat16.
        numbers = samples.float() if samples.is_floating_point() else samples
        array: NDArray[Any] = numbers.numpy(force=True)
    except (TypeError, RuntimeError) as error:  # sparse, quantized, without data
        detail = f"{samples.layout} {samples.dtype} on {samples.device}, give a dense tensor"
        raise AudioError("the sound", "of a wrong type", detail) from error
    return array


def _as_float(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            return array.astype(np.float32)
    dtype = array.dtype.newbyteorder("=")
    if dtype == np.uint8:  # 128 is silence
        return (array.astype(np.float32) - 128.0) / 128.0
    if dtype == np.int32 and 0 < np.abs(array.astype(np.int64)).max(initial=0) <= 2**15:
        detail = "int32 with a peak that 16 bits hold, near silence if they are 32: give int16"
        raise AudioError("the sound", "of a wrong type", detail)
    if dtype in (np.int16, np.int32):
        return (array / -float(np.iinfo(dtype).min)).astype(np.float32)
    raise AudioError("the sound", "of a wrong type", f"{array.dtype}, give floats or int16")
