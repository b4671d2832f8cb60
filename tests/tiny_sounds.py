"""Small sounds, encoded in memory, and the means to damage them."""

import io
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from optional_packages import soundfile

RATE = 16_000


def sweep(seconds: float, sample_rate: int = RATE) -> NDArray[np.float32]:
    """A sine that rises from 300 Hz, with a little noise: no part of it sounds like another."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = np.random.default_rng(1).standard_normal(len(time))
    return (0.3 * np.sin(2 * np.pi * (300 + 200 * time) * time) + 0.02 * noise).astype(np.float32)


def loud_and_soft(seconds: float) -> NDArray[np.float32]:
    """A quarter noise, the rest a pure tone: a variable bit rate is high at first, then low."""
    count = round(seconds * RATE)
    noise = 0.2 * np.random.default_rng(0).standard_normal(count // 4)
    tone = 0.1 * np.sin(2 * np.pi * 440.0 / RATE * np.arange(count - count // 4))
    return np.concatenate([noise, tone]).astype(np.float32)


def encode(
    wave: NDArray[np.float32],
    kind: str,
    subtype: str | None = None,
    sample_rate: int = RATE,
    **options: float | str,
) -> bytes:
    """The bytes of a sound file of a libsndfile format."""
    file = io.BytesIO()
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    with soundfile.SoundFile(
        file, "w", sample_rate, channels, subtype, format=kind, **options
    ) as sound:
        for start in range(0, len(wave), 50_000):
            sound.write(wave[start : start + 50_000])
    return file.getvalue()


def pages(ogg: bytes) -> list[bytes]:
    """The pages of an undamaged Ogg file."""
    result = []
    while ogg:
        size = 27 + ogg[26] + sum(ogg[27 : 27 + ogg[26]])
        result.append(ogg[:size])
        ogg = ogg[size:]
    return result


def with_checksum(page: bytes) -> bytes:
    """An Ogg page with its CRC-32 made right, bit by bit as RFC 3533 says."""
    zeroed = page[:22] + bytes(4) + page[26:]
    crc = 0
    for byte in zeroed:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x104C11DB7) if crc >> 31 else crc << 1
    return zeroed[:22] + struct.pack("<I", crc) + zeroed[26:]


def without_end_flag(ogg: bytes) -> bytes:
    """An Ogg file whose last page does not say that it is the last."""
    *first, last = pages(ogg)
    return b"".join(first) + with_checksum(last[:5] + bytes([last[5] & ~4]) + last[6:])


def mpeg_frames(mp3: bytes) -> list[bytes]:
    """The frames of an undamaged MP3 of MPEG 2 layer 3 at 16 kHz; the first is the Xing frame."""
    result = []
    kilobits = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    while mp3:
        size = 72_000 * kilobits[mp3[2] >> 4] // RATE + (mp3[2] >> 1 & 1)
        result.append(mp3[:size])
        mp3 = mp3[size:]
    return result


def encode_by_ffmpeg(
    file: io.BytesIO | Path,
    kind: str,
    codec: str,
    *,
    sample_rate: int = 48_000,
    bit_rate: int | None = None,
    **options: str,
) -> bytes:
    """The bytes of a two-second sweep in a container of FFmpeg's, written by PyAV into `file`.

    Some options need a file on disk, which can be sought in.
    """
    import av

    pcm = np.round(sweep(2.0, sample_rate) * 32767).astype(np.int16)
    target = str(file) if isinstance(file, Path) else file
    with av.open(target, "w", format=kind, options=options) as container:
        stream = container.add_stream(codec, rate=sample_rate, layout="mono")
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, Fraction(1, sample_rate)
        resampler = av.AudioResampler(
            format=stream.format,
            layout="mono",
            rate=sample_rate,
            frame_size=stream.frame_size or 1024,
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.read_bytes() if isinstance(file, Path) else file.getvalue()
