"""FLAC (RFC 9639): how many samples a file's frames hold, whatever its STREAMINFO states."""

import re
import struct
from dataclasses import dataclass, replace

from soundjudge.data.audio.chunks import JOINED
from soundjudge.data.audio.formats import is_file
from soundjudge.data.audio.streams import FileBytes, Stream

STREAM = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # the marker and the head of STREAMINFO
FRAME = re.compile(rb"\xff[\xf8\xf9][^\x00-\x0f\xf0-\xff][\x00-\xaf][^\x80-\xbf\xff]")
RATES = {1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000,
         8: 32_000, 9: 44_100, 10: 48_000, 11: 96_000}  # fmt: skip
# Where another file may begin.
OTHER = re.compile(
    rb"(?=.{8}(?:WAVE|AIF[FC])|.{4}(?:ftyp|moov|mdat|wide|free|skip)|OggS|ID3|TAG|APETAGEX"
    rb"|\x1aE\xdf\xa3|0&\xb2u|MAC |wvpk|TTA1|#!AMR|\xff[\xe2-\xff])",
    re.DOTALL,
)
IN_OGG, IN_OGG_SIZE = b"\x7fFLAC", 9  # what stands before fLaC in Ogg, and bytes of it all
LENGTH = 18  # place of the 8 bytes that hold a stream's length in their last 36 bits


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The samples from `first` up to, not including, `end`; rate 0 if the header does not say."""

    first: int
    end: int
    rate: int
    offset: int = 0
    "of its header in the file"


def streams(data: FileBytes, seconds: float) -> list[Stream]:
    """The streams of a file that begins with fLaC (or a tag before it), one after the other."""
    view = memoryview(data)
    starts = [match.start() for match in STREAM.finditer(data)]
    if not starts:
        return [Stream()]  # libsndfile says what is wrong with it
    result = []
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        word = int.from_bytes(data[start + LENGTH : start + LENGTH + 8], "big")
        rate, stated = word >> 44, word & (1 << 36) - 1
        if rate == 0 or end - start < 42:
            return [Stream()]  # libsndfile says what is wrong with it
        last = _samples(data, start, end, seconds * rate)
        if last.end <= seconds * rate and _holds_other(data, last.offset, end):
            return [Stream(refusal=JOINED)]
        refusal = ""
        if last.rate not in (0, rate):
            refusal = f"damaged: its headers state rates of {rate} and {last.rate} Hz"
        enough = last.end > seconds * rate
        if (last.end == stated or (enough and stated >= last.end)) and len(starts) == 1:
            return [Stream(refusal=refusal)]
        share = min(1.0, last.end / stated) if stated and not enough else 1.0
        length = struct.pack(">Q", word - stated + last.end)
        pieces = (view[start : start + LENGTH], length, view[start + LENGTH + 8 : end])
        result.append(Stream(pieces=pieces, share_there=share, refusal=refusal))
    return result


def unwrap(packets: bytes, seconds: float) -> Stream:
    """The file in the packets of FLAC in Ogg (RFC 9639, 10.1).

    libsndfile does not read them as every writer writes them.
    """
    file = packets[IN_OGG_SIZE:]
    stream = streams(file, seconds)[0]
    return replace(stream, pieces=stream.pieces or (file,))


def _holds_other(data: FileBytes, frame: int, end: int) -> bool:
    """Whether a file of another format begins before `end`, behind the last frame or far into it.

    Frames of MPEG audio are short, so that they count where the frame of FLAC ends.
    """
    offsets = (match.start() for match in OTHER.finditer(data, frame + 1, end))
    return any(
        is_file(data, offset) and (data[offset] != 0xFF or _crc16(data[frame:offset]) == 0)
        for offset in offsets
    )


def _samples(data: FileBytes, start: int, end: int, enough: float) -> Frame:
    """The last of the frames that follow one another from the first on; its rate if any says it."""
    block_size = int.from_bytes(data[start + 8 : start + 10], "big")
    ends, last, rate, offset = {0}, 0, 0, start
    for match in FRAME.finditer(data, start + 42, end):
        frame = _frame(data[match.start() : match.start() + 16], block_size)
        if frame is None or frame.first not in ends:
            continue
        ends.add(frame.end)
        last, rate, offset = max(last, frame.end), rate or frame.rate, match.start()
        if last > enough:
            break
    return Frame(first=0, end=last, rate=rate, offset=offset)


def _frame(head: bytes, block_size: int) -> Frame | None:
    """The frame with this header, None if its checksum is wrong."""
    length = 8 - (head[4] ^ 0xFF).bit_length() or 1  # bytes of the number, coded as in UTF-8
    number = head[4] & (0x7F if length == 1 else 0x7F >> length)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    size_code, rate_code, offset = head[2] >> 4, head[2] & 15, 4 + length
    if size_code in (6, 7):
        size = int.from_bytes(head[offset : offset + size_code - 5], "big") + 1
        offset += size_code - 5
    else:
        size = {1: 192}.get(size_code) or (
            576 << size_code - 2 if size_code < 6 else 1 << size_code
        )
    rate = RATES.get(rate_code, 0)
    if rate_code in (12, 13, 14):
        width = 1 if rate_code == 12 else 2
        rate = (
            int.from_bytes(head[offset : offset + width], "big")
            * {12: 1000, 13: 1, 14: 10}[rate_code]
        )
        offset += width
    if offset >= len(head) or _checksum(head[:offset]) != head[offset]:
        return None
    first = number if head[1] & 1 else number * block_size
    return Frame(first=first, end=first + size, rate=rate)


def _checksum(head: bytes) -> int:
    """CRC-8 with the polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in head:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107) if crc & 0x80 else crc << 1
    return crc


def _crc16(frame: bytes) -> int:
    """CRC-16 with the polynomial x^16 + x^15 + x^2 + 1; 0 for a frame with its own behind it."""
    crc = 0
    for byte in frame:
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ 0x18005 if crc & 0x8000 else crc << 1
    return crc
