"""WAV, RF64 and AIFF: how long the samples are, whatever the headers state of them.

All of the samples lie in one chunk. A length that is 0, unknown, or ends where no other chunk
begins is mended to reach to the end of the file; one beyond the end tells how much is missing.
libsndfile does either for some of these formats, and says nothing.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from soundjudge.data.audio import mpeg, mpeg_frames
from soundjudge.data.audio.flags import USUAL_RATES
from soundjudge.data.audio.formats import CHUNKED, FORM, is_file
from soundjudge.data.audio.streams import SHARE_THERE, FileBytes, Stream

HEAD = 8  # bytes of a chunk's name and size
STREAMED = 0x7FFF_0000  # bytes; a length from here on means that its writer did not know it
IN_DS64 = 0xFFFF_FFFF  # a length that stands in the chunk ds64
MPEG_LAYER_3 = b"\x55\0"  # format tag of WAV (RFC 2361)
JOINED = "undecodable: another file is joined behind its samples, split them"
KNOWN = (b"fmt ", b"data", b"COMM", b"SSND", b"LIST", b"fact", b"FVER")
INSIDE = "undecodable: its samples are a file of another format, save them as such"
LINEAR_AIFC = (b"NONE", b"sowt", b"twos", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a format writes its chunks: a name, a size, the content, padding to an even length."""

    size_code: str = "<I"
    "of struct"
    samples: bytes = b"data"
    "name of the chunk of the samples"
    lead: int = 0
    "bytes in that chunk before the samples"
    description: bytes = b"fmt "
    "name of the chunk that says what a sample is"


AIFF = Layout(size_code=">I", samples=b"SSND", lead=8, description=b"COMM")
LAYOUTS = {pair: AIFF if pair[0] == b"FORM" else Layout() for pair in CHUNKED}


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A chunk: its name (4 bytes), start of its content, and bytes of that."""

    name: bytes
    start: int
    size: int


def streams(data: FileBytes, seconds: float) -> list[Stream]:
    """The stream of a file of chunks, several where it holds MP3; none if it is no such file."""
    layout = LAYOUTS.get((data[:4], data[8:12]))
    if layout is None:
        return []
    chunks: dict[bytes, Chunk] = {}
    for chunk in _chunks(data, FORM, layout):
        chunks[chunk.name] = chunk
        if chunk.name == layout.samples:
            return _streams(data, layout, chunks, seconds)
    return [Stream()]  # libsndfile says what is wrong with it


def _chunks(data: FileBytes, offset: int, layout: Layout) -> Iterator[Chunk]:
    while offset + HEAD <= len(data):
        size: int = struct.unpack_from(layout.size_code, data, offset + 4)[0]
        yield Chunk(name=bytes(data[offset : offset + 4]), start=offset + HEAD, size=size)
        offset += HEAD + size
        # Some writers leave out the byte that follows an odd length.
        offset += size % 2 and data[offset : offset + 4] not in KNOWN


def _streams(
    data: FileBytes, layout: Layout, chunks: dict[bytes, Chunk], seconds: float
) -> list[Stream]:
    samples = chunks[layout.samples]
    start, stated = samples.start + layout.lead, samples.size - layout.lead
    long_sizes = chunks.get(b"ds64")
    if long_sizes and samples.size == IN_DS64:
        stated = struct.unpack_from("<Q", data, long_sizes.start + 8)[0]
    present = len(data) - start
    ends_there, joined = _behind(data, start + max(0, stated), layout)
    size = stated if ends_there or SHARE_THERE * present <= stated <= present else present
    unknown = stated >= STREAMED and not long_sizes
    share = present / stated if stated > present and not unknown else 1.0
    view = memoryview(data)[start : start + size]
    text = b""
    if described := chunks.get(layout.description):
        text = data[described.start : described.start + min(described.size, 64)]
    if joined:
        return [Stream(refusal=JOINED)]
    if layout.description == b"fmt " and text[:2] == MPEG_LAYER_3:
        inside = mpeg.streams(bytes(view), seconds)
        parts = [replace(one, pieces=one.pieces or (view,)) for one in inside]
        if share < 1.0 and parts:
            parts[-1] = replace(parts[-1], share_there=share * parts[-1].share_there)
        return parts
    refusal = contradiction(layout.description, text, stated, size)
    if frame_bytes(layout.description, text) and is_file(data, start):
        refusal = INSIDE
    if samples.start % 2 and layout.description == b"fmt " and text and not long_sizes:
        return [Stream(pieces=(_plain_head(text, size), view), share_there=share, refusal=refusal)]
    if size == stated and data[:4] != b"BW64":
        return [Stream(refusal=refusal)]
    pieces = (_head(data[:start], layout, chunks, size), view)
    return [Stream(pieces=pieces, share_there=share, refusal=refusal)]


def _behind(data: FileBytes, end: int, layout: Layout) -> tuple[bool, bool]:
    """Whether samples end at `end`: nothing or a chunk follows; and whether a file is joined."""
    for offset in (end, end + end % 2):
        if data[offset : offset + 4] == data[:4] or (offset > FORM and is_file(data, offset)):
            return True, True
        tags = offset
        while size := mpeg_frames.tag_size(data, tags):
            tags += size
        if offset < tags >= len(data):
            return True, False
        chunk = next(_chunks(data, offset, layout), None)
        named = chunk and chunk.name.isascii() and chunk.name.decode().isprintable()
        if chunk and named and chunk.size <= len(data) - chunk.start:
            behind = _chunks(data, offset, layout)
            return True, any(one.name == data[:4] for one in behind)
    return end == len(data), False


def _plain_head(text: bytes, size: int) -> bytes:
    """The head of a WAV file with nothing in it but what a sample is."""
    text = text + bytes(len(text) % 2)
    total = FORM + 2 * HEAD + len(text) + size - HEAD
    head = struct.pack("<4sI4s4sI", b"RIFF", total, b"WAVE", b"fmt ", len(text))
    return head + text + struct.pack("<4sI", b"data", size)


def _head(data: bytes, layout: Layout, chunks: dict[bytes, Chunk], size: int) -> bytes:
    """The bytes before the samples, with the length of the samples mended."""
    head = bytearray(data)
    counted, total = size + layout.lead, len(head) + size - 8
    if b"ds64" in chunks:
        head[:4] = b"RF64"
        struct.pack_into("<QQ", head, chunks[b"ds64"].start, total, size)
        counted = total = IN_DS64
    struct.pack_into(layout.size_code, head, 4, min(total, IN_DS64))
    offset = chunks[layout.samples].start - 4
    struct.pack_into(layout.size_code, head, offset, min(counted, IN_DS64))
    if layout.description == b"COMM" and b"COMM" in chunks:
        offset = chunks[b"COMM"].start
        frame = frame_bytes(b"COMM", bytes(head[offset : offset + 22]))
        if frame:
            struct.pack_into(">I", head, offset + 2, size // frame)
    return bytes(head)


def frame_bytes(chunk: bytes, text: bytes) -> int:
    """Bytes of a sample of all channels by what the chunk `fmt ` or `COMM` says; or 0.

    0 where samples are not linear, or the chunk is another.
    """
    channels: int
    if chunk == b"fmt " and len(text) >= 16:
        tag, channels = struct.unpack_from("<HH", text)
        bits: int = struct.unpack_from("<H", text, 14)[0]
        if tag == 0xFFFE and len(text) >= 26:
            tag = struct.unpack_from("<H", text, 24)[0]
        return channels * -(-bits // 8) if tag in (1, 3) else 0
    if chunk == b"COMM" and len(text) >= 18:
        channels, _, bits = struct.unpack_from(">HIH", text)
        linear = len(text) < 22 or text[18:22] in LINEAR_AIFC
        return channels * -(-bits // 8) if linear else 0
    return 0


def contradiction(chunk: bytes, text: bytes, stated: int, there: int) -> str:
    """Why the description can't be believed, of samples of `stated` bytes; empty if it can be."""
    size = frame_bytes(chunk, text)
    if not size:
        return ""
    if chunk == b"fmt ":
        rate, byte_rate, align = struct.unpack_from("<IIH", text, 4)
        if byte_rate == rate * size or not (byte_rate and align):
            return ""
        # Writers are sloppy with these two; only where they agree on something else they are right.
        if byte_rate == rate * align:
            return f"damaged: {size} and {align} bytes a sample are stated"
        other = byte_rate // align
        if byte_rate % align == 0 and other in USUAL_RATES and rate not in USUAL_RATES:
            return f"damaged: rates of {rate} and {other} Hz are stated"
    if chunk == b"COMM":
        frames = struct.unpack_from(">I", text, 2)[0]
        agrees = any(0.9 <= frames * size / max(1, length) <= 1.1 for length in (stated, there))
        if frames and not agrees:
            return f"damaged: {frames} samples of {size} bytes and {stated} bytes are stated"
    return ""
