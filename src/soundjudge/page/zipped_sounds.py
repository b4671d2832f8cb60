"""Sounds in a zip that someone uploaded: each read into a numbered file, never by its name.

An archive may name files outside its folder, hold links, lie about sizes, or unpack to far more
than it is. No name in it becomes a path here, and what is unpacked is counted.
"""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from soundjudge.data.audio import formats
from soundjudge.page.limits import TOO_LARGE, Limits, RefusalError

BLOCK = 1 << 20
MOST_ENTRIES = 10_000
# What zipfile and its decompressors raise of damaged bytes; RuntimeError is for an encrypted entry.
DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError,
    OSError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip


@contextmanager
def open_sounds(archive: Path, limits: Limits) -> "Iterator[ZippedSounds]":
    """The sounds of a zip. Raises RefusalError for what is no harmless zip."""
    with _readable():
        opened = zipfile.ZipFile(archive)
    with opened:
        yield ZippedSounds(opened, limits)


class ZippedSounds:
    """The entries of a zip; a name is that of an entry's path, or of its end where that is clear.

    It may lack its extension.
    """

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive, self._limits = archive, limits
        self._entries = _checked_entries(archive)
        self._ends: dict[str, list[str]] = {}
        for entry in self._entries:
            for end in _ends(entry):
                self._ends.setdefault(end, []).append(entry)

    def has(self, name: str) -> bool:
        """Whether there is an entry of that name."""
        return name in self._ends

    def unpack(self, names: Iterable[str], folder: Path) -> dict[str, Path]:
        """The entries of these names as numbered files in `folder`."""
        chosen = {name: self._choose(name) for name in dict.fromkeys(names)}
        left = self._limits.bytes
        files: dict[str, Path] = {}
        for number, (name, info) in enumerate(chosen.items()):
            files[name] = folder / f"{number}"
            with files[name].open("wb") as file:
                for block in self._blocks(info):
                    left -= len(block)
                    if left < 0:
                        raise RefusalError(
                            f"the sounds in the zip have more than {self._limits.megabytes:g} MB",
                            TOO_LARGE,
                        )
                    file.write(block)
        return files

    def _blocks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        with _readable():
            packed = self._archive.open(info)
        with packed:
            while True:
                with _readable():
                    block = packed.read(BLOCK)
                if not block:
                    return
                yield block

    def _choose(self, name: str) -> zipfile.ZipInfo:
        matches = [name] if name in self._entries else self._ends.get(name, [])
        if len(matches) > 1:
            raise RefusalError(
                f"the zip holds {' and '.join(matches[:2])}: write in the table which is meant"
            )
        if not matches:
            raise RefusalError(f"the zip lacks {name!r}, which the table names")
        return self._entries[matches[0]]


def _ends(entry: str) -> set[str]:
    """The paths that an entry's path ends in, those of sounds also without extension."""
    parts = entry.split("/")
    ends = {"/".join(parts[start:]) for start in range(len(parts))}
    stem, dot, suffix = entry.rpartition(".")
    if dot and f".{suffix.lower()}" in formats.SUFFIXES:
        ends |= {end[: len(end) - len(entry) + len(stem)] for end in ends}
    return ends


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise RefusalError(f"the zip cannot be read: {error}") from error


def _checked_entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    if not all(info.filename for info in archive.infolist()):
        raise RefusalError("the zip holds a file without a name: pack it again")
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MOST_ENTRIES:
        raise RefusalError(f"the zip holds {len(infos)} files: pack {MOST_ENTRIES} at most")
    for info in infos:
        name = info.orig_filename
        is_drive = ":" in name.partition("/")[0]
        if name.startswith("/") or "\\" in name or is_drive or ".." in name.split("/"):
            raise RefusalError(
                f"the zip holds {name!r}, which leads out of its folder: pack it again"
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise RefusalError(f"the zip holds a link, {name!r}: pack the file itself")
    entries = {info.filename: info for info in infos}
    if len(entries) < len(infos):
        raise RefusalError("the zip holds two files of one name: pack it again")
    return entries
