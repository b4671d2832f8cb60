"""The common form of all upstream corpora: sounds, captions, and listed rows that are unusable."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from soundjudge.data.tables import tables
from soundjudge.data.tables.texts import is_blank
from soundjudge.errors import SoundjudgeError

# The earlier wins. Files of the last four are not decoded: their rejection names the reason.
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm")
README = "README.md"


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """One listed sound or caption that is unusable; the reason starts with a fixed word or two."""

    corpus: str
    file: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One sound that a corpus lists; `path` is None where it has no file."""

    clip_id: str
    corpus: str
    split: str
    file: str  # its name in reports
    path: Path | None
    reason: str = "missing"  # why `path` is None

    def reject(self, reason: str) -> Rejection:
        """Its rejection, for a reason."""
        return Rejection(corpus=self.corpus, file=self.file, reason=reason)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The lists of one corpus, before any sound is read."""

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
    """Whether the folder holds nothing but a README.md, which stands for no corpus."""
    if not folder.is_dir():
        raise SoundjudgeError(
            f"{key}: {folder} does not exist; name the corpus folder, or data/none for none"
        )
    names = {entry.name for entry in list_folder(folder)}
    if not names:
        message = f"{key}: {folder} is empty; is a disk not mounted, or a download missing?"
        raise SoundjudgeError(message)
    return names == {README}


def list_folder(folder: Path) -> list["os.DirEntry[str]"]:
    """The entries of the folder. Raises SoundjudgeError."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise SoundjudgeError(f"{folder} cannot be read: {error.strerror}") from error


def audio_files(*folders: Path) -> dict[str, Path]:
    """Name without suffix -> audio file, from the first folder that has one."""
    files: dict[str, Path] = {}
    for folder in folders:
        best: dict[str, tuple[bool, int, str]] = {}
        for entry in list_folder(folder) if folder.is_dir() else ():
            name = Path(entry.name)
            if name.suffix.lower() in SUFFIXES:
                # A folder of that name is no sound, but its rejection says more than "missing".
                rank = (_is_folder(entry), SUFFIXES.index(name.suffix.lower()), entry.name)
                best[name.stem] = min(rank, best.get(name.stem, rank))
        files = {stem: folder / name for stem, (_, _, name) in best.items()} | files
    return files


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def build_corpus(
    name: str, rows: Iterable[CaptionRow], rejections: list[Rejection], max_characters: int
) -> Corpus:
    """A corpus of captioned sounds.

    Repeated, empty and too long captions and clips in two splits are rejected.
    """
    sounds: dict[str, Sound] = {}
    captions: dict[str, tuple[str, str, str, str, str | None]] = {}
    all_rejections = list(rejections)

    def reject(row: CaptionRow, reason: str) -> None:
        all_rejections.append(Rejection(corpus=name, file=row.caption_id, reason=reason))

    for row in rows:
        sound = sounds.setdefault(row.sound.clip_id, row.sound)
        if sound.path is None and row.sound.path is not None:
            sounds[sound.clip_id] = replace(sound, path=row.sound.path)
        text = row.text.strip()
        if row.caption_id in captions:
            reject(row, "duplicate id")
        elif sound.split != row.sound.split:
            reject(row, f"duplicate id: {sound.clip_id} is in {sound.split} too")
        elif is_blank(text):
            reject(row, "empty caption")
        elif len(text) > max_characters:
            reject(row, f"caption too long: {len(text)} characters")
        else:
            captions[row.caption_id] = (row.caption_id, sound.clip_id, name, text, row.label)
    frame = pd.DataFrame(captions.values(), columns=list(tables.CAPTIONS.columns))
    captioned = set(frame["clip_id"])
    kept = [sound for clip_id, sound in sounds.items() if clip_id in captioned]
    return Corpus(name=name, sounds=kept, captions=frame, rejections=all_rejections)
