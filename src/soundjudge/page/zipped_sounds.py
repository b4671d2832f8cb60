"""Sounds in a zip that someone uploaded: each read into a numbered file, never by its name.

An archive may name files outside its folder, hold links, lie about sizes, or unpack to far more
than it is. No name in it becomes a path here, and what is unpacked is counted.
"""

import lzma
import stat
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

from soundjudge.page.limits import TOO_LARGE, UNUSABLE, Limits, RefusalError

BLOCK = 1 << 20
MOST_ENTRIES = 10_000
# What zipfile and its decompressors raise; RuntimeError is for an encrypted entry.
DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError,
    NotImplementedError,
)  # fmt: skip


def unpack_sounds(
    archive: Path, wanted: Collection[str], folder: Path, limits: Limits
) -> dict[str, Path]:
    """The files of the zip that are wanted, by those names, as numbered files in `folder`.

    A wanted name is an entry's path, or its end where that is clear. Raises RefusalError.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _entries(opened)
            chosen = {name: _choose(name, entries) for name in dict.fromkeys(wanted)}
            return _extract(opened, chosen, folder, limits)
    except DAMAGED as error:
        raise RefusalError(UNUSABLE, f"the zip cannot be read: {error}") from error


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MOST_ENTRIES:
        raise RefusalError(
            UNUSABLE, f"the zip holds {len(infos)} files: pack {MOST_ENTRIES} at most"
        )
    for info in infos:
        name = info.orig_filename
        is_drive = ":" in name.partition("/")[0]
        if name.startswith("/") or "\\" in name or is_drive or ".." in name.split("/"):
            raise RefusalError(
                UNUSABLE, f"the zip holds {name!r}, which leads out of its folder: pack it again"
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise RefusalError(UNUSABLE, f"the zip holds a link, {name!r}: pack the file itself")
    entries = {info.filename: info for info in infos}
    if len(entries) < len(infos):
        raise RefusalError(UNUSABLE, "the zip holds two files of one name: pack it again")
    return entries


def _choose(name: str, entries: Mapping[str, zipfile.ZipInfo]) -> zipfile.ZipInfo:
    if name in entries:
        return entries[name]
    found = [entry for entry in entries if entry.endswith(f"/{name}")]
    if len(found) > 1:
        raise RefusalError(
            UNUSABLE, f"the zip holds {' and '.join(found[:2])}: write in the table which is meant"
        )
    if not found:
        raise RefusalError(UNUSABLE, f"the zip lacks {name!r}, which the table names")
    return entries[found[0]]


def _extract(
    archive: zipfile.ZipFile, chosen: Mapping[str, zipfile.ZipInfo], folder: Path, limits: Limits
) -> dict[str, Path]:
    left = limits.bytes
    files: dict[str, Path] = {}
    for number, (name, info) in enumerate(chosen.items()):
        files[name] = folder / f"{number}"
        with archive.open(info) as packed, files[name].open("wb") as file:
            while block := packed.read(BLOCK):
                left -= len(block)
                if left < 0:
                    raise RefusalError(
                        TOO_LARGE, f"the sounds in the zip have more than {limits.megabytes:g} MB"
                    )
                file.write(block)
    return files
