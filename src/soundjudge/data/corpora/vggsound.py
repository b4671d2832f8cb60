"""VGGSound as downloaded, with captions of AudioSetCaps or Auto-ACD: sounds and captions.

<folder>/vggsound.csv                       youtube_id,start,"label",split; no header
<folder>/VGGSound_AudioSetCaps_caption.csv  id,caption; id is youtube_id_start, six digits, with or
                                            without a leading "Y"
<folder>/Auto-ACD/*.csv                     youtube_id,caption; youtube_id is youtube_id_start, too;
                                            most are of AudioSet and not of VGGSound
<folder>/audio/<youtube_id>_<start, six digits>.wav; or with start and end; or in audio/<split>/;
                                            also flac, ogg, opus and mp3

One of the two lists of captions is enough; with both, clips have the captions of both.
"""

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from soundjudge.data.corpora import clip_names, corpus
from soundjudge.data.corpora.clip_names import CutClips
from soundjudge.data.corpora.corpus import CaptionRow, Corpus, Rejection, Sound
from soundjudge.data.tables.schema import Table
from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError

NAME = "vggsound"
LIST = "vggsound.csv"
CAPTIONS = "VGGSound_AudioSetCaps_caption.csv"
AUTO_ACD = "Auto-ACD"
SPLITS = ("train", "validation", "test")  # as published: train and test
CAPTION_LIST = Table(
    name="AudioSetCaps", columns={"id": "str", "caption": "str"}, nullable=("caption",)
)
AUTO_ACD_LIST = Table(
    name=AUTO_ACD, columns={"youtube_id": "str", "caption": "str"}, nullable=("caption",)
)


@dataclass(frozen=True, kw_only=True)
class ListedClip:
    """One line of vggsound.csv."""

    name: str  # youtube_id_start, the start with six digits
    youtube_id: str
    start: str  # in seconds
    label: str
    split: str


def read_vggsound(folder: Path, max_characters: int) -> Corpus:
    """Every listed clip with a caption; the others are rejected. Raises SoundjudgeError."""
    listed: dict[str, ListedClip] = {}
    rejections = []
    for entry in list_entries(folder / LIST):
        if entry.name in listed:
            rejections.append(Rejection(corpus=NAME, file=entry.name, reason="duplicate id"))
        listed.setdefault(entry.name, entry)
    rows = list(_iter_rows(folder, listed, rejections))
    captioned = {row.sound.file for row in rows}
    for name in listed:
        if f"audio/{name}" not in captioned:
            rejections.append(Rejection(corpus=NAME, file=name, reason="no caption"))
    return corpus.build_corpus(NAME, rows, rejections, max_characters)


def list_entries(path: Path) -> Iterator[ListedClip]:
    """The lines of vggsound.csv, labels included."""
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist: it lists the clips of VGGSound")
    rows = delimited.check_width(delimited.iter_rows(path), 4, path)
    for row, (listed_id, listed_start, label, split) in enumerate(rows, start=1):
        youtube_id = listed_id.strip()
        if split not in SPLITS:
            raise SoundjudgeError(
                f"{path}, row {row}: the split {split!r} is none that a training names: write one "
                f"of {', '.join(SPLITS)}"
            )
        start = clip_names.whole_seconds(listed_start)
        if not (start.isascii() and start.isdecimal()) or not youtube_id:
            raise SoundjudgeError(
                f"{path}, row {row}: {youtube_id!r}, {start!r} are no YouTube id and start in"
                " whole seconds"
            )
        name = f"{youtube_id}_{int(start):06d}"
        yield ListedClip(name=name, youtube_id=youtube_id, start=start, label=label, split=split)


def _iter_rows(
    folder: Path, listed: dict[str, ListedClip], rejections: list[Rejection]
) -> Iterator[CaptionRow]:
    audio = folder / "audio"
    files = corpus.audio_files(audio, *(audio / split for split in ("train", "test")))
    clips = CutClips(files)
    captions: Counter[str] = Counter()  # so far, of each clip
    for name, text in _iter_captions(folder, listed, rejections):
        file, reason = clips.find(listed[name].youtube_id, listed[name].start, [name])
        sound = Sound(
            clip_id=f"{NAME}/{name}",
            corpus=NAME,
            split=listed[name].split,
            file=f"audio/{name}",
            path=file,
            reason=reason,
        )
        caption_id = f"{NAME}/{name}" + (f"#{captions[name]}" if captions[name] else "")
        captions[name] += 1
        label = listed[name].label.strip() or None
        yield CaptionRow(caption_id=caption_id, sound=sound, text=text, label=label)


def _iter_captions(
    folder: Path, listed: Container[str], rejections: list[Rejection]
) -> Iterator[tuple[str, str]]:
    """Name and caption of the listed clips, list by list."""
    lists = sorted((folder / AUTO_ACD).glob("*.csv"))
    if (folder / CAPTIONS).exists() or not lists:
        for name, text in _read_captions(folder / CAPTIONS, CAPTION_LIST, listed):
            if name in listed:
                yield name, text
            else:
                rejections.append(Rejection(corpus=NAME, file=name, reason="caption of no clip"))
    for path in lists:
        unlisted = 0
        for name, text in _read_captions(path, AUTO_ACD_LIST, listed):
            if name in listed:
                yield name, text
            else:
                unlisted += 1
        if unlisted:  # more than a million, and no faults: one rejection stands for all
            reason = f"caption of no clip: {unlisted} captions of clips that {LIST} does not list"
            rejections.append(Rejection(corpus=NAME, file=f"{AUTO_ACD}/{path.name}", reason=reason))


def _read_captions(path: Path, table: Table, listed: Container[str]) -> Iterator[tuple[str, str]]:
    frame = read_user_table(path, table)
    for name, text in zip(frame.iloc[:, 0].str.strip(), frame["caption"].fillna(""), strict=True):
        # A YouTube id may itself start with a Y: the name in the file has precedence.
        bare = name.removeprefix("Y")
        yield (bare if name not in listed and bare in listed else name), text
