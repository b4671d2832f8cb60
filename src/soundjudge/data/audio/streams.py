"""A sound stream of a file: which bytes libsndfile is to decode, and how much must come out.

A file is one stream, or several one after the other (chained Ogg, joined MP3). What its headers
say of its length is mended in memory; the file is never written.
"""

import io
import mmap
from collections.abc import Sequence
from dataclasses import dataclass

# With a smaller share of what is stated a file is cut off; a little may be cut or miscounted.
SHARE_THERE = 0.9

Piece = bytes | memoryview
FileBytes = bytes | mmap.mmap


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Pieces (None: the file as it is), and what is wrong with them."""

    pieces: tuple[Piece, ...] | None = None
    share_there: float = 1.0
    "bytes or frames that are there / that the headers state"
    refusal: str = ""
    "why the stream must be refused; begins with a reason and a colon, as damage does"
    damage: str = ""
    "why the stream must be refused where it is read to its end"
    pieces_untrimmed: tuple[Piece, ...] | None = None
    "of an Ogg stream without a last page: as if its end were not trimmed; decodes to more if it is"


class PiecesFile(io.RawIOBase):
    """Pieces of bytes as one file that can be read and sought, for libsndfile and FFmpeg."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = [memoryview(piece) for piece in pieces]
        self._size = sum(map(len, self._pieces))
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size}[whence]
        self._offset = max(0, base + offset)
        return self._offset

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        target = memoryview(buffer).cast("B")
        start, size = 0, 0
        for piece in self._pieces:
            if start <= self._offset < start + len(piece) and size < len(target):
                part = piece[self._offset - start :][: len(target) - size]
                target[size : size + len(part)] = part
                size += len(part)
                self._offset += len(part)
            start += len(piece)
        return size


def slices(data: FileBytes, spans: Sequence[tuple[int, int]]) -> list[Piece]:
    """The bytes of spans (start, end) in order; spans that touch become one piece."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    view = memoryview(data)
    return [view[start:end] for start, end in merged]
