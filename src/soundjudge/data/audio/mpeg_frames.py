"""Headers of MPEG audio frames (ISO/IEC 11172-3, 13818-3 and MPEG 2.5), and tags beside them.

The first frame of an MP3 may tell how many follow: "Xing", or "Info" at a constant bit rate.
libsndfile knows no other way to the true length than this frame, so files without a right one get
one in memory, and frames that are lost are replaced by silent ones.
"""

import functools
import struct
from dataclasses import dataclass

from soundjudge.data.audio.streams import FileBytes

RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
# kbit/s by index, for (MPEG 1?, layer)
BIT_RATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RUN = 4  # frames in a row that are no accident
INDEX_64_KBITS = {True: 5, False: 8}  # by whether it is MPEG 1: room enough for what a frame states
COUNT, BYTES, INDEX, QUALITY = 1, 2, 4, 8  # flags of what it says, and bytes of each
FIELDS = {COUNT: 4, BYTES: 4, INDEX: 100, QUALITY: 4}
GAPS = 21  # place of the encoder's delay and padding, behind those fields
LARGEST_GAP = 2304  # samples of either, two frames; encoders need less, a lie would hide sound


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a frame's header says: its bytes, its samples per channel, and what may not change."""

    size: int
    samples: int
    rate: int
    kind: tuple[int, int, int, bool]
    "version, layer, rate, mono"


def header(data: FileBytes, position: int) -> Frame | None:
    """The frame whose header stands at `position`, None if none does."""
    return _header(int.from_bytes(data[position : position + 4], "big"))


@functools.lru_cache(maxsize=4096)
def _header(word: int) -> Frame | None:
    version, layer = word >> 19 & 3, 4 - (word >> 17 & 3)
    rate_index, bits_index = word >> 10 & 3, word >> 12 & 15
    if word >> 21 != 0x7FF or version == 1 or layer == 4 or rate_index == 3:
        return None
    if bits_index in (0, 15):  # 0 is "free format", of a size that is not stated
        return None
    first = version == 3
    rate, bits = RATES[version][rate_index], 1000 * BIT_RATES[first, layer][bits_index]
    samples = {1: 384, 2: 1152, 3: 1152 if first else 576}[layer]
    slot = 4 if layer == 1 else 1  # bytes
    size = (samples // 8 // slot * bits // rate + (word >> 9 & 1)) * slot
    mono = word >> 6 & 3 == 3
    return Frame(size=size, samples=samples, rate=rate, kind=(version, layer, rate, mono))


def header_at(data: FileBytes, position: int) -> Frame:
    """The frame whose header is known to stand at `position`."""
    frame = header(data, position)
    assert frame is not None, "a run begins with a frame"
    return frame


def tag_size(data: FileBytes, position: int) -> int:
    """Bytes of the ID3v1, ID3v2 or APE tag that begins here, 0 if none does."""
    head = data[position : position + 32]
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
        a, b, c, d = head[6:10]
        return 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if head[5] & 16 else 0)
    if head[:3] == b"TAG":
        return min(128, len(data) - position)
    if head[:8] == b"APETAGEX" and len(head) == 32:
        size, flags = struct.unpack_from("<I4xI", head, 12)
        return 32 + (size if flags >> 29 & 1 else 0)  # a header is followed by the rest
    return 0


def after_tags(data: FileBytes) -> int:
    """Where the ID3v2 tags that a file begins with end."""
    start = 0
    while data[start : start + 3] == b"ID3" and (size := tag_size(data, start)):
        start += size
    return start


def is_run(data: FileBytes, position: int) -> bool:
    """Whether frames of one kind stand in a row here, to the end of the file if they are few."""
    kind = None
    for count in range(RUN):
        frame = header(data, position)
        if frame is None or (kind and frame.kind != kind):
            return count > 0 and (position == len(data) or tag_size(data, position) > 0)
        kind = frame.kind
        position += frame.size
    return position <= len(data)


def next_run(data: FileBytes, start: int, end: int) -> int:
    """Where the next frames in a row begin, -1 if nowhere before `end`."""
    while (start := data.find(b"\xff", start, end)) >= 0:
        if is_run(data, start):
            return start
        start += 1
    return -1


def follows(data: FileBytes, position: int, frame: Frame) -> bool:
    """Whether what should follow a frame stands here: another, a tag or the end of the file."""
    following = header(data, position)
    if following and following.kind == frame.kind:
        return True
    return position == len(data) or tag_size(data, position) > 0 or is_run(data, position)


def first_frame(data: FileBytes) -> tuple[int, int]:
    """Where the first frames in a row begin (-1: nowhere near the start), and bytes unknown before.

    A tag's own length is believed only if frames follow it, or zeros and frames.
    """
    start = after_tags(data)
    if is_run(data, start):
        return start, 0
    search, end = (10, len(data)) if start else (0, 65_536)
    run = next_run(data, search, min(end, len(data)))
    if run < 0:
        return -1, 0
    unknown = data[start:run]
    return run, len(unknown.strip(b"\0") if start else unknown)


@dataclass(frozen=True, kw_only=True)
class Xing:
    """What such a frame says."""

    count: int
    "of the frames that follow; 0 if it does not say"
    clean: bool
    "whether decoders take it for one, and it hides no sound; not if a bit is set where sound is"


def read(data: FileBytes, position: int, frame: Frame) -> Xing | None:
    """What the frame here says; None if it is one of sound."""
    offset = position + _tag_offset(frame)
    if frame.kind[1] != 3 or data[offset : offset + 4] not in (b"Xing", b"Info"):
        return None
    flags, count = struct.unpack(">II", data[offset + 4 : offset + 12])
    clean = not any(data[position + 4 : offset]) and bool(data[position + 1] & 1 and flags & COUNT)
    clean &= not _hides_sound(data, offset)
    return Xing(count=count if flags & COUNT else 0, clean=clean)


def with_count(old: bytes, frame: Frame, count: int, size: int) -> bytes:
    """Such a frame with another count and size (bytes of all frames), and all else that it says.

    That is how much the encoder's delay and padding are, which a decoder takes off. It becomes one
    that decoders take for one.
    """
    offset = _tag_offset(frame) + 8
    numbers = struct.pack(">I", count) + (
        struct.pack(">I", size) if old[offset - 1] & BYTES else b""
    )
    start = bytes([old[0], old[1] | 1, old[2], old[3]]).ljust(offset - 8, b"\0")
    remainder = old[offset + len(numbers) :]
    if _hides_sound(old, offset - 8):
        gaps = _gaps_offset(old, offset - 8) - offset - len(numbers)
        remainder = remainder[:gaps] + bytes(3) + remainder[gaps + 3 :]
    return start + old[offset - 8 : offset] + numbers + remainder


def _gaps_offset(data: FileBytes, offset: int) -> int:
    """Where the delay and the padding stand, 12 bits each, of a frame whose tag is at `offset`."""
    flags = data[offset + 7]
    return offset + 8 + sum(size for flag, size in FIELDS.items() if flags & flag) + GAPS


def _hides_sound(data: FileBytes, offset: int) -> bool:
    """Whether the delay or the padding is more than an encoder needs: a decoder takes both off."""
    gaps = _gaps_offset(data, offset)
    both = int.from_bytes(data[gaps : gaps + 3], "big")
    return max(both >> 12, both & 0xFFF) > LARGEST_GAP


def new(head: bytes, frame: Frame, count: int) -> bytes:
    """Such a frame for `count` others, whose headers are like `head`."""
    silent = silent_frame(head, frame)
    offset = _tag_offset(frame)
    return silent[:offset] + struct.pack(">4sII", b"Xing", COUNT, count) + silent[offset + 12 :]


def silent_frame(head: bytes, frame: Frame) -> bytes:
    """A layer 3 frame that holds no sound, of 64 kbit/s and without a checksum."""
    word = int.from_bytes(head, "big") & ~(0xF << 12 | 1 << 9) | 1 << 16
    word |= INDEX_64_KBITS[frame.kind[0] == 3] << 12
    start = word.to_bytes(4, "big")
    return start.ljust(header_at(start, 0).size, b"\0")


def _tag_offset(frame: Frame) -> int:
    """Where the tag Xing or Info stands: behind the header and the side information."""
    version, _, _, mono = frame.kind
    return 4 + ((17 if mono else 32) if version == 3 else (9 if mono else 17))
