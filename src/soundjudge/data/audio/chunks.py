"""WAV, RF64, W64, AIFF, CAF, SVX and AU: how long the samples are, whatever the headers state.

All of the samples lie in one chunk. A length that is 0, unknown, or ends where no other chunk
begins is mended to reach to the end of the file; one beyond the end tells how much is missing.
libsndfile does either for some of these formats, and says nothing.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from soundjudge.data.audio import mpeg, sample_format
from soundjudge.data.audio.streams import SHARE_THERE, FileBytes, Stream

STREAMED = 0x7FFF_0000  # bytes; a length from here on means that its writer did not know it
MPEG_LAYER_3 = b"\x55\0"  # format tag of WAV (RFC 2361)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a format writes its chunks: a name, a size, the content, padding."""

    first: int = 12
    "place of the first chunk"
    name_bytes: int = 4
    size_code: str = "<I"
    "of struct"
    size_counts_head: bool = False
    padding: int = 2
    samples: bytes = b"data"
    "name of the chunk of the samples"
    lead: int = 0
    "bytes in that chunk before the samples"
    description: bytes = b"fmt "
    "name of the chunk that says what a sample is"


LAYOUTS = {
    b"RIFF": Layout(),
    b"RF64": Layout(),
    b"BW64": Layout(),
    b"RIFX": Layout(size_code=">I"),
    b"riff": Layout(first=40, name_bytes=16, size_code="<Q", size_counts_head=True, padding=8),
    b"caff": Layout(first=8, size_code=">q", padding=1, lead=4, description=b"desc"),
    b"AIFF": Layout(size_code=">I", samples=b"SSND", lead=8, description=b"COMM"),
    b"AIFC": Layout(size_code=">I", samples=b"SSND", lead=8, description=b"COMM"),
    b"8SVX": Layout(size_code=">I", samples=b"BODY", description=b"VHDR"),
    b"16SV": Layout(size_code=">I", samples=b"BODY", description=b"VHDR"),
}


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A chunk: its name (4 bytes), place of its size, start of its content, and bytes of that."""

    name: bytes
    size_place: int
    start: int
    size: int


def streams(data: FileBytes, seconds: float) -> list[Stream]:
    """The streams of a file of chunks, joined files one after the other; none if it is no such."""
    result: list[Stream] = []
    base = 0
    while base < len(data):
        magic = data[base : base + 4]
        layout = LAYOUTS.get(data[base + 8 : base + 12] if magic == b"FORM" else magic)
        if layout is None:
            break
        chunks: dict[bytes, Chunk] = {}
        for chunk in _chunks(data, base + layout.first, layout):
            chunks[chunk.name] = chunk
            if chunk.name == layout.samples:
                break
        if layout.samples not in chunks:
            return result or [Stream()]  # libsndfile says what is wrong with it
        found, base = _streams(data, base, layout, chunks, seconds)
        result += found
    return result


def au_streams(data: FileBytes) -> list[Stream]:
    """The stream of a Sun or NeXT file, of either byte order."""
    order = ">" if data[:4] == b".snd" else "<"
    if len(data) < 24:
        return [Stream()]
    start, stated = struct.unpack_from(f"{order}II", data, 4)
    there = len(data) - start
    if there <= 0:
        return [Stream()]
    if 0 < stated < STREAMED and SHARE_THERE * there <= stated:
        return [Stream(share_there=min(1.0, there / stated))]
    head = data[:8] + struct.pack(f"{order}I", there) + data[12:start]
    return [Stream(pieces=(head, memoryview(data)[start:]))]


def _chunks(data: FileBytes, place: int, layout: Layout) -> Iterator[Chunk]:
    width = struct.calcsize(layout.size_code)
    while place + layout.name_bytes + width <= len(data):
        size_place = place + layout.name_bytes
        start = size_place + width
        size: int = struct.unpack_from(layout.size_code, data, size_place)[0]
        size -= start - place if layout.size_counts_head else 0
        name = bytes(data[place : place + 4])
        yield Chunk(name=name, size_place=size_place, start=start, size=size)
        if size < 0:
            return
        place = start + -(-size // layout.padding) * layout.padding


def _streams(
    data: FileBytes, base: int, layout: Layout, chunks: dict[bytes, Chunk], seconds: float
) -> tuple[list[Stream], int]:
    """The streams of one file of chunks, and where one that was joined to it begins."""
    samples = chunks[layout.samples]
    start, stated = samples.start + layout.lead, samples.size - layout.lead
    long_sizes = chunks.get(b"ds64")
    if long_sizes and samples.size == 0xFFFF_FFFF:
        stated = struct.unpack_from("<Q", data, long_sizes.start + 8)[0]
    there = len(data) - start
    end, follower = _behind(data, base, start + max(0, stated), layout)
    size = stated if end or SHARE_THERE * there <= stated <= there else there
    unknown = stated >= STREAMED and not long_sizes and layout.size_code in ("<I", ">I")
    share = there / stated if stated > there and not unknown else 1.0
    description = chunks.get(layout.description)
    text = (
        data[description.start : description.start + min(description.size, 64)]
        if description
        else b""
    )
    view = memoryview(data)[start : start + size]
    if layout.description == b"fmt " and text[:2] == MPEG_LAYER_3:
        inside = mpeg.streams(bytes(view), seconds)
        parts = [replace(one, pieces=one.pieces or (view,)) for one in inside]
        if share < 1.0 and parts:
            parts[-1] = replace(parts[-1], share_there=share * parts[-1].share_there)
        return parts, follower
    refusal = sample_format.contradiction(layout.description, text, stated, size)
    if size == stated and base == 0 and follower == len(data) and data[:4] != b"BW64":
        return [Stream(refusal=refusal)], follower
    head = _head(data[base:start], base, layout, chunks, size)
    return [Stream(pieces=(head, view), share_there=share, refusal=refusal)], follower


def _behind(data: FileBytes, base: int, end: int, layout: Layout) -> tuple[bool, int]:
    """Whether samples end at `end`: nothing or a chunk follows; and where a joined file begins."""
    if end == len(data):
        return True, end
    for place in dict.fromkeys((end, end + -end % 2, -(-end // layout.padding) * layout.padding)):
        if data[place : place + 4] == data[base : base + 4]:
            return True, place
        chunk = next(_chunks(data, place, layout), None)
        named = chunk and chunk.name.isascii() and chunk.name.decode().isprintable()
        if chunk and named and 0 <= chunk.size <= len(data) - chunk.start:
            return True, _joined_behind(data, base, place, layout)
    return False, len(data)


def _joined_behind(data: FileBytes, base: int, place: int, layout: Layout) -> int:
    """Where a file that was joined begins, behind the chunks that follow samples."""
    for chunk in _chunks(data, place, layout):
        end = chunk.start + chunk.size
        if data[end : end + 4] == data[base : base + 4]:
            return end
    return len(data)


def _head(data: bytes, base: int, layout: Layout, chunks: dict[bytes, Chunk], size: int) -> bytes:
    """The bytes before the samples, with the length of the samples mended."""
    head, samples = bytearray(data), chunks[layout.samples]
    counted = size + layout.lead
    if layout.size_counts_head:
        counted += layout.name_bytes + struct.calcsize(layout.size_code)
    total = len(head) + size - 8
    if b"ds64" in chunks:
        head[:4] = b"RF64"
        counted = 0xFFFF_FFFF
        struct.pack_into("<QQ", head, chunks[b"ds64"].start - base, total, size)
    elif layout.first == 12:
        struct.pack_into(layout.size_code, head, 4, min(total, 0xFFFF_FFFF))
    struct.pack_into(layout.size_code, head, samples.size_place - base, min(counted, 0xFFFF_FFFF))
    if layout.description == b"COMM" and b"COMM" in chunks:
        place = chunks[b"COMM"].start - base
        frame = sample_format.frame_bytes(b"COMM", bytes(head[place : place + 22]))
        if frame:
            struct.pack_into(">I", head, place + 2, size // frame)
    return bytes(head)
