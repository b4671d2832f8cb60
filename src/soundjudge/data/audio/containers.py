"""Walks over what FFmpeg reads: whether a file is cut off, or has another one joined behind it.

FFmpeg decodes the first of two joined files without a word, and what is there of one that was cut.
"""

from collections.abc import Iterator
from itertools import accumulate

from soundjudge.data.audio.formats import foreign_name, is_file
from soundjudge.data.audio.streams import FileBytes

JOINED = "undecodable: another file is joined behind it, split them"
CUT = "truncated: it ends within a block, or one is damaged, and it does not say how long it was"
# Matroska (RFC 9559): a live recording does not know the sizes of its segment and clusters.
SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
DURATION, FIRST_CLUSTER = b"\x44\x89", CLUSTER.to_bytes(4, "big")
SMALLEST_ID = 0x10  # first byte of one of four bytes, the longest
TTA_FRAME = (256, 245)  # seconds


def refusal(name: str, data: FileBytes, *, has_length: bool) -> str:
    """Why a file of FFmpeg's format `name` must be refused: a reason, a colon, details; or "".

    `has_length`: whether it states how long it is, so that the share that is there is known.
    """
    if _is_joined(name, data):
        return JOINED
    # Without one FFmpeg guesses a length from what is there, which then agrees with it.
    stated = has_length and data.find(DURATION, 0, max(0, data.find(FIRST_CLUSTER))) >= 0
    if name == "matroska" and not stated and [*_elements(data)][-1] != len(data):
        return CUT
    return ""


def _is_joined(name: str, data: FileBytes) -> bool:
    """Whether another file follows; FFmpeg reads on where both are Matroska's."""
    if name == "tta":
        return is_file(data, _tta_end(data))
    offsets: list[int] = []
    if name == "mov":
        boxes = list(_boxes(data))
        if [kind for kind, _ in boxes].count(b"moov") > 1:
            return True
        offsets = list(accumulate(size for _, size in boxes))
    elif name == "matroska":
        offsets = list(_elements(data))
    return any(is_file(data, offset) and foreign_name(data, offset) != name for offset in offsets)


def _boxes(data: FileBytes) -> Iterator[tuple[bytes, int]]:
    """Kind and size of the boxes of an MP4 or QuickTime file (ISO/IEC 14496-12, 4.2)."""
    position = 0
    while position + 8 <= len(data):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 :][:4]
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        yield bytes(kind), size
        if size < 8:  # 0: to the end of the file
            return
        position += size


def _tta_end(data: FileBytes) -> int:
    """Where the frames of a True Audio file end, as its header and its table of sizes say."""
    rate, samples = (int.from_bytes(data[at : at + 4], "little") for at in (10, 14))
    frame = max(1, TTA_FRAME[0] * rate // TTA_FRAME[1])
    count = -(-samples // frame)
    table = data[22 : 22 + 4 * count]
    sizes = (int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), 4))
    return 26 + 4 * count + sum(sizes)


def _elements(data: FileBytes) -> Iterator[int]:
    """Where elements of a Matroska file begin, segment and clusters opened; at last where they end.

    That is not the end of the file if an element is cut, or is none.
    """
    position = 0
    while position < len(data) and data[position] >= SMALLEST_ID:
        yield position
        kind, body = _variable(data, position, keep_marker=True)
        size, body = _variable(data, body, keep_marker=False)
        if body > len(data):
            return
        position = body if kind in (SEGMENT, CLUSTER) else body + size
    yield position


def _variable(data: FileBytes, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of variable length (RFC 8794, section 4) and where it ends."""
    first = data[position] if position < len(data) else 0
    length = 9 - first.bit_length()
    number = int.from_bytes(data[position : position + length], "big")
    return number if keep_marker else number & ~(1 << 7 * length), position + length
