"""A sound file -> its channels' mean, (N,) at its own rate, as much of it as is requested for.

N = number of frames, C = number of channels, n = frames of a block. A file is never read in part
without a word: what its headers state is held against what is there, in both directions.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import (
    chunks,
    flac,
    foreign,
    formats,
    mpeg,
    mpeg_frames,
    ogg,
    other_files,
)
from soundjudge.data.audio.flags import Power
from soundjudge.data.audio.streams import SHARE_THERE, FileBytes, PiecesFile, Stream
from soundjudge.errors import AudioError

if TYPE_CHECKING:
    from soundfile import SoundFile

BLOCK = 1 << 20  # samples of all channels decoded at once: what a long or wide file costs in memory
# Overshoot of lossy formats is cut off at 1; beyond this, the numbers are on another scale.
LARGEST_PEAK = 8.0
# An ID3v2 tag tells libsndfile what follows. Without one it first looks for a resource fork
# beside the file that has no name, and refuses all MP3 in a folder with .AppleDouble/ or "._".
TAG = b"ID3\3\0\0\0\0\0\x14" + bytes(20)
RATES = (1_000, 1_000_000)  # Hz; another one stands in a damaged header


@dataclass(kw_only=True)
class Decoded:
    """Parts (N,) with their rates, more than one if rates change, and what flags need."""

    parts: list[tuple[NDArray[np.float32], int]] = field(default_factory=list)
    power: Power = field(default_factory=Power)
    incomplete: bool = False


def decode(path: Path, first_seconds: float | None) -> Decoded:
    """Decodes a file that is no empty one. Raises AudioError."""
    seconds = np.inf if first_seconds is None else first_seconds
    result = Decoded()
    try:
        with path.open("rb") as file:
            data: FileBytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise AudioError(path, "unreadable", error.strerror or str(error)) from error
    start = mpeg_frames.after_tags(data)
    name, head = formats.foreign_name(data, start), data[start : start + formats.FORM]
    if start and (name or head[:4] == b"fLaC" or (head[:4], head[8:]) in formats.CHUNKED):
        data, start = data[start:], 0  # no other reader of such files knows every tag before them
    if name:
        _add_foreign(path, data, name, seconds, result)
        return result
    # libsndfile reads more formats, and part of a file in silence where their header is wrong.
    streams = _streams(data, start, seconds)
    for stream in streams or [Stream(refusal=other_files.refusal(data, path.name))]:
        decoded_seconds = sum(len(mean) / rate for mean, rate in result.parts)
        if decoded_seconds >= seconds:
            break
        _add(path, data, stream, seconds - decoded_seconds, result)
    rates = {rate for _, rate in result.parts}
    if len(rates) == 1:
        result.parts = [(np.concatenate([mean for mean, _ in result.parts]), rates.pop())]
    return result


def _streams(data: FileBytes, start: int, seconds: float) -> list[Stream]:
    """The streams of a file, none of an unknown one; `start` is where it begins behind tags."""
    if data[start : start + 4] == b"fLaC":
        return flac.streams(data, seconds)
    if data[start : start + 4] == b"OggS":
        return ogg.streams(data, seconds)
    return chunks.streams(data, seconds) or mpeg.streams(data, seconds)


def _add(path: Path, data: FileBytes, stream: Stream, seconds: float, result: Decoded) -> None:
    """Decodes the first seconds of a stream, and adds them to the result."""
    import soundfile

    if stream.refusal:
        raise AudioError(path, *stream.refusal.split(": ", 1))
    pieces = stream.pieces or (memoryview(data),)
    if pieces[0][0] == 0xFF and pieces[0][1] & 6 == 2:  # layer 3: its first frame tells the length
        pieces = (TAG, *pieces)
    try:
        with soundfile.SoundFile(PiecesFile(pieces)) as file:
            rate = check_rate(int(file.samplerate), path)
            requested = np.inf if seconds == np.inf else np.ceil(seconds * rate)
            frames = int(min(requested, file.frames))
            parts = list(_means(_blocks(file, frames), path, result.power))
            announced = file.frames / stream.share_there
    except soundfile.LibsndfileError as error:
        if stream.damage:
            raise AudioError(path, *stream.damage.split(": ", 1)) from error
        detail = error.error_string.strip(" .") or f"decoder error {error.code}, cut off or damaged"
        remedy = f"get it again or convert it (ffmpeg -i {path.name} a.wav)"
        raise AudioError(path, "undecodable", f"{detail}; {remedy}") from error
    except OSError as error:
        raise AudioError(path, "unreadable", error.strerror or str(error)) from error
    mean = np.concatenate(parts) if parts else np.empty(0, np.float32)
    if len(mean) < requested:
        if stream.damage:
            reason, detail = stream.damage.split(": ", 1)
            raise AudioError(path, reason, f"{detail}; {len(mean) / rate:.2f} s are there")
        if len(mean) < SHARE_THERE * min(requested, announced):
            detail = f"{len(mean) / rate:.2f} s of {announced / rate:.2f} s are there"
            raise AudioError(path, "truncated", detail)
        if stream.pieces_untrimmed and _count(stream.pieces_untrimmed) <= len(mean):
            reason, detail = ogg.NO_LAST_PAGE.split(": ", 1)
            raise AudioError(path, reason, f"{detail}; {len(mean) / rate:.2f} s are there")
        result.incomplete |= stream.share_there < 1.0 or len(mean) < file.frames
    if len(mean):
        result.parts.append((mean, rate))


def _add_foreign(path: Path, data: FileBytes, name: str, seconds: float, result: Decoded) -> None:

    def blocks() -> Iterator[tuple[NDArray[np.float32], int]]:
        result.incomplete = yield from foreign.blocks(path, data, name, seconds)

    for block, rate in blocks():
        result.parts.append((mean_of_channels(block, str(path), result.power), rate))
    rates = {rate for _, rate in result.parts}
    if len(rates) > 1:
        raise AudioError(path, "undecodable", f"its rate changes: {sorted(rates)} Hz")
    for rate in rates:
        mean = np.concatenate([part for part, _ in result.parts])
        count = len(mean) if seconds == np.inf else int(np.ceil(seconds * check_rate(rate, path)))
        result.parts = [(mean[:count], rate)]


def _blocks(file: "SoundFile", frames: int) -> Iterator[NDArray[np.float32]]:
    """The first `frames` of a file, block by block: (n, C)."""
    while frames > 0:
        size = min(frames, max(1, BLOCK // file.channels))
        block = file.read(size, dtype="float32", always_2d=True)  # (n, C)
        if len(block):
            yield block
        frames = frames - len(block) if len(block) == size else 0


def _means(
    blocks: Iterator[NDArray[np.float32]], path: Path, power: Power
) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        yield mean_of_channels(block, str(path), power)


def _count(pieces: tuple[bytes | memoryview, ...]) -> int:
    """How many frames pieces decode to."""
    import soundfile

    with soundfile.SoundFile(PiecesFile(pieces)) as file:
        return sum(map(len, _blocks(file, file.frames)))


def check_rate(rate: float, where: object) -> int:
    """A sample rate in Hz; one that no sound has is refused with an AudioError."""
    if not RATES[0] <= rate <= RATES[1]:
        detail = f"a sample rate of {rate} Hz, it must lie within {RATES[0]} and {RATES[1]}"
        raise AudioError(where, "undecodable", detail)
    return int(rate)


def mean_of_channels(samples: NDArray[np.float32], where: str, power: Power) -> NDArray[np.float32]:
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
    power.add(samples, total)
    return total
