"""The first frame of an MP3 that tells how many follow: "Xing", or "Info" at a constant bit rate.

libsndfile knows no other way to the true length than this frame, so files without a right one get
one in memory, and frames that are lost are replaced by silent ones.
"""

import struct
from dataclasses import dataclass

from soundjudge.data.audio import mpeg_frames
from soundjudge.data.audio.mpeg_frames import Frame
from soundjudge.data.audio.streams import FileBytes

INDEX_64_KBITS = {True: 5, False: 8}  # by whether it is MPEG 1: room enough for what a frame states
COUNT, BYTES = 1, 2  # flags of what it says


@dataclass(frozen=True, kw_only=True)
class Xing:
    """What such a frame says."""

    count: int
    "of the frames that follow; 0 if it does not say"
    clean: bool
    "whether decoders take it for one; not if a bit is set where sound would be"


def read(data: FileBytes, position: int, frame: Frame) -> Xing | None:
    """What the frame here says; None if it is one of sound."""
    place = position + _place(frame)
    if frame.kind[1] != 3 or data[place : place + 4] not in (b"Xing", b"Info"):
        return None
    flags, count = struct.unpack(">II", data[place + 4 : place + 12])
    clean = not any(data[position + 4 : place]) and bool(data[position + 1] & 1 and flags & COUNT)
    return Xing(count=count if flags & COUNT else 0, clean=clean)


def with_count(old: bytes, frame: Frame, count: int, size: int) -> bytes:
    """Such a frame with another count and size (bytes of all frames), and all else that it says.

    That is how much the encoder's delay and padding are, which a decoder takes off. It becomes one
    that decoders take for one.
    """
    place = _place(frame) + 8
    numbers = struct.pack(">I", count) + (
        struct.pack(">I", size) if old[place - 1] & BYTES else b""
    )
    start = bytes([old[0], old[1] | 1, old[2], old[3]]).ljust(place - 8, b"\0")
    return start + old[place - 8 : place] + numbers + old[place + len(numbers) :]


def new(head: bytes, frame: Frame, count: int) -> bytes:
    """Such a frame for `count` others, whose headers are like `head`."""
    silent = silent_frame(head, frame)
    place = _place(frame)
    return silent[:place] + struct.pack(">4sII", b"Xing", COUNT, count) + silent[place + 12 :]


def silent_frame(head: bytes, frame: Frame) -> bytes:
    """A layer 3 frame that holds no sound, of 64 kbit/s and without a checksum."""
    word = int.from_bytes(head, "big") & ~(0xF << 12 | 1 << 9) | 1 << 16
    word |= INDEX_64_KBITS[frame.kind[0] == 3] << 12
    start = word.to_bytes(4, "big")
    return start.ljust(mpeg_frames.header_at(start, 0).size, b"\0")


def _place(frame: Frame) -> int:
    """Where the name stands: behind the header and the side information."""
    version, _, _, mono = frame.kind
    return 4 + ((17 if mono else 32) if version == 3 else (9 if mono else 17))
