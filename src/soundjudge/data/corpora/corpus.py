"""What every upstream corpus becomes: sounds, captions, and what was listed but cannot be used."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError

# The earlier wins. The last four are found, so that their rejection says why, but not decoded.
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm")
README = "README.md"


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One sound that a corpus lists; `path` is None where no file of it was found."""

    clip_id: str
    corpus: str
    split: str
    file: str  # its name in reports
    path: Path | None


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """One listed thing that cannot be used; the reason starts with a fixed word or two."""

    corpus: str
    file: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """One corpus as listed, before any sound is read."""

    name: str
    sounds: list[Sound]
    captions: pd.DataFrame
    rejections: list[Rejection] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class CaptionRow:
    """One row of a corpus's list of captions."""

    caption_id: str
    sound: Sound
    text: str
    label: str | None = None  # the sound's class


def is_omitted(folder: Path, key: str) -> bool:
    """True if the folder holds nothing but a README.md, which says: without this corpus."""
    if not folder.is_dir():
        raise SoundjudgeError(
            f"{key}: {folder} does not exist; name the corpus folder, or data/none to go without it"
        )
    names = {entry.name for entry in list_folder(folder)}
    if not names:
        raise SoundjudgeError(f"{key}: {folder} is empty; is a disk not mounted, or a download missing?")
    return names == {README}


def list_folder(folder: Path) -> list["os.DirEntry[str]"]:
    """What the folder holds; TableError if it cannot be looked into."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise SoundjudgeError(f"{folder} cannot be read: {error.strerror}") from error


def audio_files(*folders: Path) -> dict[str, Path]:
    """Name without suffix -> audio file, over folders of which the first that has one counts."""
    found: dict[str, Path] = {}
    for folder in folders:
        here: dict[str, tuple[bool, int, str]] = {}
        for entry in list_folder(folder) if folder.is_dir() else ():
            name = Path(entry.name)
            if name.suffix.lower() in SUFFIXES:
                # A folder of that name is no sound, but says more than "missing".
                rank = (_is_folder(entry), SUFFIXES.index(name.suffix.lower()), entry.name)
                here[name.stem] = min(rank, here.get(name.stem, rank))
        found = {stem: folder / name for stem, (_, _, name) in here.items()} | found
    return found


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def build_corpus(
    name: str, rows: Iterable[CaptionRow], rejections: list[Rejection], max_characters: int
) -> Corpus:
    """A corpus of captioned sounds.

    Repeated captions, empty ones, longer ones than `max_characters` and clips in two splits go.
    """
    sounds: dict[str, Sound] = {}
    captions: dict[str, tuple[str, str, str, str, str | None]] = {}
    refused = list(rejections)
    for row in rows:
        sound = sounds.setdefault(row.sound.clip_id, row.sound)
        if sound.path is None and row.sound.path is not None:
            sounds[sound.clip_id] = replace(sound, path=row.sound.path)
        text = row.text.strip()
        if row.caption_id in captions:
            refused.append(Rejection(corpus=name, file=row.caption_id, reason="duplicate id"))
        elif sound.split != row.sound.split:
            reason = f"duplicate id: {sound.clip_id} is in {sound.split} too"
            refused.append(Rejection(corpus=name, file=row.caption_id, reason=reason))
        elif not text:
            refused.append(Rejection(corpus=name, file=row.caption_id, reason="empty caption"))
        elif len(text) > max_characters:
            reason = f"caption too long: {len(text)} characters"
            refused.append(Rejection(corpus=name, file=row.caption_id, reason=reason))
        else:
            captions[row.caption_id] = (row.caption_id, sound.clip_id, name, text, row.label)
    frame = pd.DataFrame(captions.values(), columns=list(tables.CAPTIONS.columns))
    described = set(frame["clip_id"])
    kept = [sound for clip_id, sound in sounds.items() if clip_id in described]
    return Corpus(name=name, sounds=kept, captions=frame, rejections=refused)
