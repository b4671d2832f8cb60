"""Headers of MPEG audio frames (ISO/IEC 11172-3, 13818-3 and MPEG 2.5), and tags beside them."""

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
    found = next_run(data, search, min(end, len(data)))
    if found < 0:
        return -1, 0
    unknown = data[start:found]
    return found, len(unknown.strip(b"\0") if start else unknown)
