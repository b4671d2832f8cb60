"""Where a page finds the sounds that it plays: inside itself, or in the folders beside it."""

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
}


@dataclass(frozen=True, kw_only=True)
class SoundLinks:
    """The address of each sound."""

    addresses: dict[Path, str]  # of those that are there
    embedded: bool
    megabytes: float  # of all sounds


def link_sounds(paths: Iterable[Path], page: Path, embed_megabytes: float) -> SoundLinks:
    """All sounds as base64 if they have at most `embed_megabytes` together; else relative links."""
    there = {path: path.stat().st_size for path in dict.fromkeys(paths) if path.is_file()}
    megabytes = sum(there.values()) / 1e6
    embedded = megabytes <= embed_megabytes
    folder = page.resolve().parent
    addresses = {p: _data(p) if embedded else _relative(p.resolve(), folder) for p in there}
    return SoundLinks(addresses=addresses, embedded=embedded, megabytes=megabytes)


def _data(path: Path) -> str:
    kind = MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _relative(path: Path, folder: Path) -> str:
    """Quoted to the last character: a name may hold what ends an address, or begins a scheme."""
    return quote(Path(os.path.relpath(path, folder)).as_posix())
