"""What every upstream corpus becomes: sounds, captions, and what was listed but cannot be used."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from soundjudge.data import tables
from soundjudge.data.tables import TableError

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")  # the earlier wins
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
class Captioned:
    """One row of a corpus's list of captions."""

    caption_id: str
    sound: Sound
    text: str


def is_left_out(folder: Path, key: str) -> bool:
    """True if the folder holds nothing but a README.md, which says: without this corpus."""
    if not folder.is_dir():
        raise TableError(
            f"{key}: {folder} does not exist; name the corpus folder, or data/none to go without it"
        )
    names = {entry.name for entry in folder.iterdir()}
    if not names:
        raise TableError(f"{key}: {folder} is empty; is a disk not mounted, or a download missing?")
    return names == {README}


def audio_files(*folders: Path) -> dict[str, Path]:
    """Name without suffix -> audio file, over folders of which the first that has one counts."""
    found: dict[str, Path] = {}
    for folder in folders:
        here: dict[str, Path] = {}
        for path in folder.iterdir() if folder.is_dir() else ():
            rank = _rank(path)
            if rank < len(SUFFIXES) and rank < _rank(here.get(path.stem)):
                here[path.stem] = path
        found = here | found
    return found


def _rank(path: Path | None) -> int:
    suffix = path.suffix.lower() if path else ""
    return SUFFIXES.index(suffix) if suffix in SUFFIXES else len(SUFFIXES)


def captioned(name: str, rows: Iterable[Captioned], rejections: list[Rejection]) -> Corpus:
    """A corpus of captioned sounds; repeated captions, empty ones and clips in two splits go."""
    sounds: dict[str, Sound] = {}
    captions: dict[str, tuple[str, str, str, str]] = {}
    refused = list(rejections)
    for row in rows:
        sound = sounds.setdefault(row.sound.clip_id, row.sound)
        if row.caption_id in captions:
            refused.append(Rejection(corpus=name, file=row.caption_id, reason="duplicate id"))
        elif sound.split != row.sound.split:
            reason = f"duplicate id: {sound.clip_id} is in {sound.split} too"
            refused.append(Rejection(corpus=name, file=row.caption_id, reason=reason))
        elif not row.text.strip():
            refused.append(Rejection(corpus=name, file=row.caption_id, reason="empty caption"))
        else:
            text = row.text.strip()
            captions[row.caption_id] = (row.caption_id, sound.clip_id, name, text)
    frame = pd.DataFrame(captions.values(), columns=list(tables.CAPTIONS.columns))
    described = set(frame["clip_id"])
    kept = [sound for clip_id, sound in sounds.items() if clip_id in described]
    return Corpus(name=name, sounds=kept, captions=frame, rejections=refused)
