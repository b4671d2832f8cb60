"""Ogg (RFC 3533): the sound streams of a file, with every page's checksum and number checked."""

import struct
import zlib
from dataclasses import dataclass, field, replace

from soundjudge.data.audio import flac
from soundjudge.data.audio.chunks import JOINED
from soundjudge.data.audio.formats import is_file
from soundjudge.data.audio.streams import FileBytes, Piece, Stream, slices

BEGIN, END = 2, 4  # flags of the first and the last page of a logical stream
OPUS_RATE = 48_000  # Hz, of positions (RFC 7845)
# Positions after a stream's last one are unknown to it; a block is shorter than this (samples).
UNTRIMMED = 65_536
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
FULL_PAGE = 4_096  # bytes; libogg writes a page when it holds more
NO_LAST_PAGE = "truncated: it ends without its last page"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page: bytes start to end of the file; its position is in samples, -1 for none."""

    start: int
    end: int
    flags: int
    position: int
    serial: int
    number: int


@dataclass(kw_only=True)
class Link:
    """What plays at one time: streams that begin together; the first sound is the one read."""

    serials: set[int] = field(default_factory=set)
    serial: int | None = None
    "of the sound; None while there is none"
    rate: int = 0
    codec: bytes = b""
    "what its first packet begins with"
    pages: list[Page] = field(default_factory=list)
    "of the sound"
    begun: bool = False
    "whether a page that is no first page came"
    first_position: int | None = None
    seconds: float = 0.0
    "of the sound, less those of its first page"


def streams(data: FileBytes, seconds: float) -> list[Stream]:
    """The sound streams of an Ogg file, as far as its first `seconds` need them.

    Chained links give one stream each; of streams that play at one time the first sound counts.
    """
    links: list[Link] = []
    start, page_seconds, orphans, junk_at = 0, 0.0, 0, -1
    while start < len(data) and page_seconds <= seconds + 1.0:
        page = _page(data, start)
        if page is None:
            junk_at = start
            following = data.find(b"OggS", start + 1)
            start = len(data) if following < 0 else following
            continue
        start, junk_at = page.end, -1
        if page.flags & BEGIN and (not links or links[-1].begun):
            links.append(Link())
        if not links or not (page.flags & BEGIN or page.serial in links[-1].serials):
            orphans += 1
            continue
        _add(links[-1], page, data)
        page_seconds = sum(link.seconds for link in links)
    complete = start >= len(data)
    cut = complete and junk_at >= 0 and data[junk_at : junk_at + 4] == b"OggS"
    if not any(link.serial is not None for link in links):
        return [Stream()]  # libsndfile says what is wrong with it
    sounds = [link for link in links if link.serial is not None]
    result = [
        _unwrap_flac(_stream(data, link, complete or link is not sounds[-1]), data, link, seconds)
        for link in sounds
    ]
    if cut and not result[-1].damage:
        result[-1] = Stream(pieces=result[-1].pieces, damage=NO_LAST_PAGE)
    if complete and junk_at >= 0 and not cut and is_file(data, junk_at):
        return [Stream(refusal=JOINED)]
    if orphans and not any(stream.damage for stream in result):
        damage = f"damaged: the first page of {orphans} others is missing"
        result[-1] = Stream(pieces=result[-1].pieces, damage=damage)
    mended = len(result) > 1 or not (complete and sounds[0].pages[-1].flags & END)
    if not mended and sum(map(len, result[0].pieces or ())) == len(data):  # nothing was left out
        return [Stream(damage=result[0].damage)]
    return result


def _page(data: FileBytes, start: int) -> Page | None:
    """The page that begins at `start`; None if there is none, or it is damaged or cut off."""
    if data[start : start + 4] != b"OggS" or start + 27 > len(data):
        return None
    _, flags, position, serial, number, crc, count = struct.unpack_from("<BBqIIIB", data, start + 4)
    end = start + 27 + count + sum(data[start + 27 : start + 27 + count])
    if end > len(data) or _checksum(data[start:end]) != crc:
        return None
    return Page(start=start, end=end, flags=flags, position=position, serial=serial, number=number)


def _checksum(page: bytes) -> int:
    """The CRC-32 of a page, its own field zeroed: polynomial 0x04C11DB7, not reflected.

    zlib's is the reflected one, so bits are reversed before and after.
    """
    zeroed = page[:22] + bytes(4) + page[26:]
    reflected = zlib.crc32(zeroed.translate(REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(REVERSED), "big")


def _add(link: Link, page: Page, data: FileBytes) -> None:
    if page.flags & BEGIN:
        link.serials.add(page.serial)
        packet = data[page.start : page.end][27 + data[page.start + 26] :]
        if link.serial is None and (rate := _rate(packet)):
            link.serial, link.rate, link.codec = (
                page.serial,
                rate,
                packet[:7] if packet[0] == 1 else packet[:8],
            )
    else:
        link.begun = True
    if page.serial == link.serial:
        link.pages.append(page)
        if page.position > 0:
            link.first_position = link.first_position or page.position
            link.seconds = (page.position - link.first_position) / link.rate


def _rate(packet: bytes) -> int:
    """The rate (Hz) of the stream that begins with this packet, 0 if it is no sound."""
    rate_fields = {b"\x01vorbis": ("<I", 12), b"Speex   ": ("<I", 36), flac.IN_OGG: (">I", 27)}
    for magic, (code, offset) in rate_fields.items():
        if packet.startswith(magic) and len(packet) >= offset + 4:
            rate: int = struct.unpack_from(code, packet, offset)[0]
            return rate >> 12 if magic == flac.IN_OGG else rate
    return OPUS_RATE if packet.startswith(b"OpusHead") else 0


def _stream(data: FileBytes, link: Link, to_its_end: bool) -> Stream:
    """The stream of a link's sound; `to_its_end` if no more of it follows in the file."""
    pages = link.pages
    numbers = [page.number for page in pages]
    damage = ""
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        damage = "damaged: pages are missing or damaged"
    elif any(page.flags & END for page in pages[:-1]):
        damage = "damaged: pages follow its last one"
    elif _goes_back(data, pages):
        damage = "damaged: its pages state positions that go back"
    if pages[-1].flags & END:
        pieces = slices(data, [(page.start, page.end) for page in pages])
        return Stream(pieces=tuple(pieces), damage=damage)
    whole = slices(data, [(page.start, page.end) for page in pages[:-1]])
    last = data[pages[-1].start : pages[-1].end]
    ended = (*whole, _as_last(last, 0))
    if to_its_end and (pages[-1].position <= 0 or last[26 + last[26]] == 255):  # within a packet
        damage = damage or NO_LAST_PAGE
    if damage or not to_its_end or _is_short(pages):
        return Stream(pieces=ended, damage=damage)
    if link.codec == b"\x01vorbis":
        return Stream(pieces=ended, pieces_untrimmed=(*whole, _as_last(last, UNTRIMMED)))
    before = pages[-2].position if len(pages) > 3 else 0
    trims = link.codec == b"OpusHead" and _opus_samples(last) > pages[-1].position - before
    return Stream(pieces=ended, damage="" if trims else NO_LAST_PAGE)


def _unwrap_flac(stream: Stream, data: FileBytes, link: Link, seconds: float) -> Stream:
    """The FLAC file in a stream of FLAC in Ogg; another stream as it is."""
    if not link.codec.startswith(flac.IN_OGG):
        return stream
    texts = (data[page.start + 27 + data[page.start + 26] : page.end] for page in link.pages)
    return replace(flac.unwrap(b"".join(texts), seconds), damage=stream.damage)


def _goes_back(data: FileBytes, pages: list[Page]) -> bool:
    """Whether a page states less than one before it, or the last one nothing: decoders stop there.

    Packets end on a page that states a position; a last page may be empty.
    """
    positions = [page.position for page in pages if page.position >= 0]
    last = pages[-1]
    unstated = last.flags & END and last.position < 0 and data[last.start + 26] > 0
    return bool(unstated) or positions != sorted(positions)


def _is_short(pages: list[Page]) -> bool:
    """Whether the last page is much smaller than those that are written when they are full."""
    *before, last = [page for page in pages if page.position > 0]
    if not before or last.end - last.start >= FULL_PAGE:
        return False
    if all(page.end - page.start >= FULL_PAGE for page in before):
        return True
    if len(before) < 2:
        return False
    return last.position - before[-1].position < 0.9 * (before[-1].position - before[-2].position)


def _opus_samples(page: bytes) -> int:
    """How many samples the packets hold that end on a page (RFC 6716, section 3.1)."""
    start, size, result = 27 + page[26], 0, 0
    for segment in page[27:start]:
        size += segment
        if segment == 255:
            continue
        packet = page[start : start + size]
        start, size = start + size, 0
        if packet:
            config, code = packet[0] >> 3, packet[0] & 3
            lengths = (480, 960, 1920, 2880) if config < 12 else (480, 960)
            lengths = (120, 240, 480, 960) if config > 15 else lengths
            count = (packet[1] & 63 if len(packet) > 1 else 0) if code == 3 else min(code, 1) + 1
            result += lengths[config % len(lengths)] * count
    return result


def _as_last(page: bytes, raise_by: int) -> Piece:
    """A page with the flag of a last one, and its position raised by so many samples."""
    position = struct.unpack_from("<q", page, 6)[0] + raise_by
    head = page[:5] + bytes([page[5] | END]) + struct.pack("<q", position) + page[14:]
    return head[:22] + struct.pack("<I", _checksum(head)) + head[26:]
