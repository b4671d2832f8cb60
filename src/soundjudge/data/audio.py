"""Path or samples -> waveform (T,): mono, 16 kHz, float32 in -1 to 1; the only audio reader.

T = number of samples at 16 kHz, C = number of channels. Any sample rate and number of channels;
channels are averaged, then resampled (both are linear, so the order does not matter).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz
# Overshoot of lossy formats is cut off at 1; beyond this, the numbers are on another scale.
LARGEST_PEAK = 8.0
MOST_CHANNELS = 64


class AudioError(ValueError):
    """A sound that cannot be used; `reason` is one of a few fixed words, for tables."""

    def __init__(self, where: object, reason: str, detail: str) -> None:
        super().__init__(f"{where} is {reason}: {detail}")
        self.reason = reason
        self.detail = detail


def read(path: Path, first_seconds: float | None = None) -> NDArray[np.float32]:
    """The sound in a file, (T,); at most its first seconds if `first_seconds` says how many.

    Reads what libsndfile reads: wav, flac, ogg, opus, mp3, aiff and more. Raises AudioError.
    """
    if not path.is_file():
        raise AudioError(path, "missing", "there is no such file")
    if path.stat().st_size == 0:
        raise AudioError(path, "empty", "the file has no bytes")
    samples, sample_rate = _decode(path, first_seconds)  # (T', C)
    return _waveform(samples, sample_rate, str(path))


def from_samples(samples: Any, sample_rate: int) -> NDArray[np.float32]:  # noqa: ANN401
    """An array or tensor, (T',) or (T', C), at any rate -> (T,).

    Floats are expected in -1 to 1; int16, int32 and uint8 are full-scale PCM. Raises AudioError.
    """
    if hasattr(samples, "detach"):  # a tensor, on whatever device
        samples = samples.detach().cpu().numpy()
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] > MOST_CHANNELS):
        raise AudioError(
            "the sound",
            "of a wrong shape",
            f"{array.shape}, give (samples,) or (samples, channels)",
        )
    if sample_rate <= 0:
        raise AudioError("the sound", "undecodable", f"a sample rate of {sample_rate} Hz")
    columns = array[:, np.newaxis] if array.ndim == 1 else array  # (T', C)
    return _waveform(_as_float(columns), sample_rate, "the sound")


def _decode(path: Path, first_seconds: float | None) -> tuple[NDArray[np.float32], int]:
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            rate = int(file.samplerate)
            frames = -1 if first_seconds is None else int(np.ceil(first_seconds * rate))
            return file.read(frames, dtype="float32", always_2d=True), rate
    except (soundfile.SoundFileError, OSError) as error:
        detail = getattr(error, "error_string", None) or str(error)
        raise AudioError(path, "undecodable", detail.replace(str(path), path.name)) from error
    except TypeError as error:  # soundfile's answer to a .raw file
        raise AudioError(path, "undecodable", "headerless samples have no known rate") from error


def _waveform(samples: NDArray[np.float32], rate: int, where: str) -> NDArray[np.float32]:
    if not samples.size:
        raise AudioError(where, "empty", "it holds no samples")
    if not np.isfinite(samples).all():
        raise AudioError(where, "non-finite", "some samples are NaN or infinite")
    peak = float(np.abs(samples).max())
    if peak > LARGEST_PEAK:
        raise AudioError(where, "out of range", f"a peak of {peak:g}, scale it to -1 to 1")
    wave = samples.mean(axis=1, dtype=np.float32)  # (T', C) -> (T',)
    if rate != SAMPLE_RATE:
        import soxr

        wave = soxr.resample(wave, rate, SAMPLE_RATE)  # (T',) -> (T,)
        if not wave.size:
            raise AudioError(where, "empty", "it is shorter than one sample at 16 kHz")
    clipped: NDArray[np.float32] = np.clip(wave, -1.0, 1.0)
    return clipped


def _as_float(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype == np.uint8:  # 128 is silence
        return (array.astype(np.float32) - 128.0) / 128.0
    if array.dtype in (np.int16, np.int32):
        return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    raise AudioError("the sound", "of a wrong type", f"{array.dtype}, give floats or int16")
