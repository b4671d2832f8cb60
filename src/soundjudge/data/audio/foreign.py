"""Formats that libsndfile does not know (m4a, aac, webm and more), through PyAV if it is there.

Only a file that begins as one of these formats is given to FFmpeg, as that format and by its bytes:
none of its playlists or protocols is ever asked for.
"""

from collections.abc import Generator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import containers
from soundjudge.data.audio.formats import UNCHECKED
from soundjudge.data.audio.streams import SHARE_THERE, FileBytes, PiecesFile
from soundjudge.errors import AudioError

REMEDY = "install the decoder (pip install 'soundjudge[decode]') or convert the file to wav or flac"
CHECKED = ("tta",)  # their frames have checksums, which FFmpeg compares if it is asked to
NAMES = {"mov": "mp4 or m4a", "matroska": "webm or mkv", "asf": "wma"}
ADTS_BLOCK = 1024  # samples
CODER_DELAY = 0.1  # seconds, by which a whole file may differ from what it states


def blocks(
    path: Path, data: FileBytes, name: str, seconds: float
) -> Generator[tuple[NDArray[np.float32], int], None, bool]:
    """Blocks (n, C) of the first sound of a file and their rate, to about its first `seconds`.

    Returns whether the file lacks a little of what it states.
    """
    if name in UNCHECKED.values():
        detail = f"{name} files do not say how long they are, convert the file to wav or flac"
        raise AudioError(path, "undecodable", detail)
    try:
        import av
    except ImportError as error:
        detail = f"{NAMES.get(name, name)} files need a decoder that is not installed; {REMEDY}"
        raise AudioError(path, "undecodable", detail) from error
    count, rate, stated = 0, 0, 0.0
    try:
        with av.open(PiecesFile((memoryview(data),)), "r", format=name) as container:
            if not container.streams.audio:
                raise AudioError(path, "undecodable", "it holds no sound")
            stream = container.streams.audio[0]
            stated = _stated_seconds(name, container, stream)
            if reason := containers.refusal(name, data, has_length=stated > 0):
                raise AudioError(path, *reason.split(": ", 1))
            if name in CHECKED:
                stream.codec_context.options = {"err_detect": "crccheck+explode"}
            resampler = av.AudioResampler(format="fltp")
            for decoded in container.decode(stream):
                if rate and count >= seconds * rate:
                    return False
                for frame in resampler.resample(decoded):
                    rate = int(frame.sample_rate)
                    count += frame.samples
                    yield np.ascontiguousarray(frame.to_ndarray().T), rate
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, AudioError):
            raise
        what = getattr(error, "strerror", None) or str(error)
        detail = f"FFmpeg: {what}; it is damaged or cut off, get it again or convert it"
        raise AudioError(path, "undecodable", detail) from error
    decoded_seconds = count / rate if rate else 0.0
    if name == "aac":
        stated = _adts_seconds(data, path)
    if decoded_seconds < SHARE_THERE * min(seconds, stated):
        raise AudioError(path, "truncated", f"{decoded_seconds:.2f} s of {stated:.2f} s are there")
    return decoded_seconds < min(seconds, stated) - CODER_DELAY


def _stated_seconds(name: str, container: "object", stream: "object") -> float:
    """How long a file says that it is, in seconds; 0 if it does not."""
    duration, base = getattr(stream, "duration", None), getattr(stream, "time_base", None)
    if duration and base:
        return float(duration * base)
    whole = getattr(container, "duration", None)  # microseconds
    return whole / 1e6 if whole and name in ("matroska", "asf") else 0.0


def _adts_seconds(data: FileBytes, path: Path) -> float:
    """The length of a file of ADTS frames (ISO/IEC 13818-7), each of which must follow the last."""
    rates = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025)
    start, seconds, rate_index = 0, 0.0, -1
    while start + 7 <= len(data):
        head = int.from_bytes(data[start : start + 7], "big")
        size, index = head >> 13 & 0x1FFF, head >> 34 & 15
        rate_index = index if rate_index < 0 else rate_index
        if head >> 44 != 0xFFF or index != rate_index or size < 7 or index > 12:
            if data[start : start + 3] == b"TAG" or not any(data[start:]):
                return seconds
            raise AudioError(path, "damaged", f"frames are missing or damaged at {seconds:.2f} s")
        seconds += ((head & 3) + 1) * ADTS_BLOCK / (*rates, 8_000, 7_350)[index]
        start += size
    if start != len(data):
        raise AudioError(path, "truncated", f"it ends within a frame, at {seconds:.2f} s")
    return seconds
