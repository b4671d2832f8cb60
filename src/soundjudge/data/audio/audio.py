"""Path or samples -> waveform (T,): mono, 16 kHz, float32 in -1 to 1; the only audio reader.

T = number of samples at 16 kHz, N = number of frames at another rate, C = number of channels.
Any sample rate and number of channels; channels are averaged, then resampled (both are linear, so
the order does not matter). Files are read by content: their suffix does not matter.
"""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import AudioError

if TYPE_CHECKING:
    from soundfile import SoundFile

# Overshoot of lossy formats is cut off at 1; beyond this, the numbers are on another scale.
LARGEST_PEAK = 8.0
MOST_CHANNELS = 64
BLOCK = 1 << 20  # samples of all channels decoded at once: what a long or wide file costs in memory
# With a smaller share of its frames a file is cut off; not 1, as an mp3's length is an estimate.
SHARE_THERE = 0.9
# libsndfile shortens a header's length to that of the file, and says so in its log alone.
SHORTENED = re.compile(r"(?:data|SSND) : (\d+) \(should be (\d+)\)")
STREAMED = 0x7FFF_0000  # bytes; a length from here on means that its writer did not know it
OGG_PAGE = 65_307  # bytes at most, RFC 3533




def read_audio(path: Path, first_seconds: float | None = None) -> NDArray[np.float32]:
    """The sound in a file, (T,); at most its first seconds if `first_seconds` says how many.

    Reads what libsndfile reads: wav, flac, ogg, opus, mp3, aiff and more. Raises AudioError.
    """
    _refuse_other_than_files(path)
    return _waveform(*_decoded(path, first_seconds), str(path))


def from_samples(samples: Any, sample_rate: int) -> NDArray[np.float32]:  # noqa: ANN401
    """An array or tensor, (N,) or (N, C), at any rate -> (T,).

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
    columns = array[:, np.newaxis] if array.ndim == 1 else array  # (N, C)
    return _waveform(_mixed(_as_float(columns), "the sound"), sample_rate, "the sound")


def _refuse_other_than_files(path: Path) -> None:
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


def _decoded(path: Path, first_seconds: float | None) -> tuple[NDArray[np.float32], int]:
    """The channels' mean (N,), as much of it as is asked for, and the sample rate."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            rate = int(file.samplerate)
            asked = np.inf if first_seconds is None else np.ceil(first_seconds * rate)
            blocks = list(_blocks(file, int(min(asked, file.frames)), str(path)))
            announced, is_ogg = _announced(file), file.format == "OGG"
    except soundfile.LibsndfileError as error:
        detail = error.error_string.strip() or f"decoder error {error.code}, cut off or damaged"
        raise AudioError(path, "undecodable", detail) from error
    except OSError as error:
        raise AudioError(path, "unreadable", error.strerror or str(error)) from error
    except TypeError as error:  # soundfile's answer to a .raw file
        raise AudioError(path, "undecodable", "headerless samples have no known rate") from error
    got = sum(map(len, blocks))
    if got < SHARE_THERE * min(asked, announced):
        detail = f"{got / rate:.2f} s of {announced / rate:.2f} s are there"
        raise AudioError(path, "truncated", detail)
    if is_ogg and got < asked and _lacks_last_page(path):
        raise AudioError(path, "truncated", f"it ends without its last page, at {got / rate:.2f} s")
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32), rate


def _blocks(file: "SoundFile", frames: int, where: str) -> Iterator[NDArray[np.float32]]:
    """The first `frames` of a file, mixed, block by block: (n,)."""
    while frames > 0:
        size = min(frames, max(1, BLOCK // file.channels))
        block = file.read(size, dtype="float32", always_2d=True)  # (n, C)
        if len(block):
            yield _mixed(block, where)
        frames = frames - len(block) if len(block) == size else 0


def _announced(file: "SoundFile") -> int:
    """How many frames the file's header says there are."""
    found = SHORTENED.search(file.extra_info)
    if found and 0 < int(found[2]) < int(found[1]) < STREAMED:
        return int(file.frames) * int(found[1]) // int(found[2])
    return int(file.frames)


def _lacks_last_page(path: Path) -> bool:
    """Whether the last page of an Ogg file is not marked as the last, or not whole (RFC 3533)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - OGG_PAGE))
        end = file.read()
    page = end[end.rfind(b"OggS") :]
    if not page.startswith(b"OggS"):
        return False  # something else stands behind the pages
    if len(page) < 27:
        return True
    size = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return not page[5] & 4 or len(page) < size


def _mixed(samples: NDArray[np.float32], where: str) -> NDArray[np.float32]:
    """Checked samples (N, C) -> (N,), the mean of the channels."""
    if not samples.size:
        raise AudioError(where, "empty", "it holds no samples")
    peak = max(float(samples.max()), -float(samples.min()))  # NaN if any sample is
    if not np.isfinite(peak):
        raise AudioError(where, "non-finite", "some samples are NaN or infinite")
    if peak > LARGEST_PEAK:
        raise AudioError(where, "out of range", f"a peak of {peak:g}, scale it to -1 to 1")
    total = samples[:, 0].copy()
    for channel in range(1, samples.shape[1]):  # many times faster than a mean over short rows
        total += samples[:, channel]
    total /= np.float32(samples.shape[1])
    return total


def _waveform(mixed: NDArray[np.float32], rate: int, where: str) -> NDArray[np.float32]:
    """(N,) at any rate -> (T,), within -1 to 1."""
    if not mixed.size:
        raise AudioError(where, "empty", "it holds no samples")
    wave = mixed
    if rate != SAMPLE_RATE:
        import soxr

        wave = soxr.resample(mixed, rate, SAMPLE_RATE)  # (N,) -> (T,)
        if not wave.size:
            raise AudioError(where, "empty", "it is shorter than one sample at 16 kHz")
    clipped: NDArray[np.float32] = np.clip(wave, -1.0, 1.0, out=wave)
    return clipped


def _as_float(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype == np.uint8:  # 128 is silence
        return (array.astype(np.float32) - 128.0) / 128.0
    if array.dtype in (np.int16, np.int32):
        return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    raise AudioError("the sound", "of a wrong type", f"{array.dtype}, give floats or int16")
