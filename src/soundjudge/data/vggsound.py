"""VGGSound as downloaded, with the captions of AudioSetCaps -> sounds and captions.

<folder>/vggsound.csv                       youtube_id,start,"label",split; no header
<folder>/VGGSound_AudioSetCaps_caption.csv  id,caption; id is youtube_id_start, six digits, with or
                                            without a leading "Y"
<folder>/audio/<youtube_id>_<start, six digits>.wav; flac, ogg, opus and mp3 as well.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from soundjudge.data import corpus, delimited, tables
from soundjudge.data.corpus import Captioned, Corpus, Rejection, Sound
from soundjudge.data.tables import TableError

NAME = "vggsound"
LIST = "vggsound.csv"
CAPTIONS = "VGGSound_AudioSetCaps_caption.csv"
CAPTION_LIST = tables.Table(
    name="AudioSetCaps", columns={"id": "str", "caption": "str"}, nullable=("caption",)
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of vggsound.csv."""

    name: str  # youtube_id_start, the start with six digits
    label: str
    split: str


def read(folder: Path) -> Corpus:
    """Every listed clip that has a caption; the others are rejections. Raises TableError."""
    listed: dict[str, Entry] = {}
    rejections = []
    for entry in entries(folder / LIST):
        if entry.name in listed:
            rejections.append(Rejection(corpus=NAME, file=entry.name, reason="duplicate id"))
        listed.setdefault(entry.name, entry)
    rows = list(_rows(folder, listed, rejections))
    described = {row.sound.file for row in rows}
    for name in listed:
        if f"audio/{name}" not in described:
            rejections.append(Rejection(corpus=NAME, file=name, reason="no caption"))
    return corpus.captioned(NAME, rows, rejections)


def entries(path: Path) -> Iterator[Entry]:
    """The lines of vggsound.csv, labels included."""
    if not path.is_file():
        raise TableError(f"{path} does not exist: it lists the clips of VGGSound")
    rows = delimited.of_width(delimited.iter_rows(path), 4, path)
    for row, (youtube_id, start, label, split) in enumerate(rows, start=1):
        if not start.isdigit() or not youtube_id or not split:
            raise TableError(
                f"{path}, row {row}: {youtube_id!r}, {start!r}, {split!r} are no"
                " YouTube id, start in whole seconds and split"
            )
        yield Entry(name=f"{youtube_id}_{int(start):06d}", label=label, split=split)


def _rows(
    folder: Path, listed: dict[str, Entry], rejections: list[Rejection]
) -> Iterator[Captioned]:
    frame = tables.read(folder / CAPTIONS, CAPTION_LIST)
    files = corpus.audio_files(folder / "audio")
    number: Counter[str] = Counter()
    for written, text in zip(frame["id"], frame["caption"].fillna(""), strict=True):
        # A YouTube id may itself start with a Y: the name as written counts first.
        name = written if written in listed else written.removeprefix("Y")
        if name not in listed:
            rejections.append(Rejection(corpus=NAME, file=written, reason="caption of no clip"))
            continue
        sound = Sound(
            clip_id=f"{NAME}/{name}",
            corpus=NAME,
            split=listed[name].split,
            file=f"audio/{name}",
            path=files.get(name),
        )
        caption_id = f"{NAME}/{name}" + (f"#{number[name]}" if number[name] else "")
        number[name] += 1
        yield Captioned(caption_id=caption_id, sound=sound, text=text)
