"""AudioCaps as downloaded: sounds and captions.

<folder>/{train,val,test}.csv                         audiocap_id,youtube_id,start_time,caption;
                                                      any of the three, of version 1 or 2; also in
                                                      dataset/ (1) or dataset2.0/ (2), as in the
                                                      official repository
<folder>/audio/<split>/<youtube_id>_<start_time>.wav  or <youtube_id>, Y<youtube_id>, <audiocap_id>
                                                      or with start and end, as the common
                                                      downloaders name it; also in audio/ or
                                                      <split>/; also flac, ogg, opus and mp3

Some captions of version 2 have line breaks without quotes: they are joined by a blank.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from soundjudge.data.corpora import clip_names, corpus
from soundjudge.data.corpora.clip_names import CutClips
from soundjudge.data.corpora.corpus import CaptionRow, Corpus, Sound
from soundjudge.data.tables.schema import Table
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError

NAME = "audiocaps"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
VERSIONS = (".", "dataset", "dataset2.0")
LIST = Table(
    name="AudioCaps",
    columns={"audiocap_id": "str", "youtube_id": "str", "start_time": "str", "caption": "str"},
    nullable=("caption",),
)


def read_audiocaps(folder: Path, max_characters: int) -> Corpus:
    """All sounds and captions of the folder's lists. Raises SoundjudgeError."""
    lists = [(split, folder / version / f"{split}.csv") for version in VERSIONS for split in SPLITS]
    lists = [(split, path) for split, path in lists if path.is_file()]
    if not lists:
        names = "train.csv, val.csv and test.csv"
        raise SoundjudgeError(f"{folder} holds none of {names} of AudioCaps")
    first, last = lists[0][1].parent, lists[-1][1].parent
    if first != last:
        raise SoundjudgeError(f"{first} and {last} both hold lists of AudioCaps: keep one version")
    rows = (row for split, path in lists for row in _iter_rows(folder, split, path))
    return corpus.build_corpus(NAME, rows, [], max_characters)


def _iter_rows(folder: Path, split: str, path: Path) -> Iterator[CaptionRow]:
    frame = read_user_table(path, LIST, join_lines=True)
    if frame.empty:
        raise SoundjudgeError(f"{path} has no rows: download it again, or remove it")
    files = corpus.audio_files(folder / "audio" / split, folder / "audio", folder / split)
    clips = CutClips(files)
    columns = (frame[name] for name in ("audiocap_id", "youtube_id", "start_time"))
    captions = frame["caption"].fillna("")
    for audiocap_id, youtube_id, listed_start, text in zip(*columns, captions, strict=True):
        start = clip_names.whole_seconds(listed_start)
        name = f"{youtube_id}_{start}"
        stems = (name, f"{youtube_id}_{listed_start}", youtube_id, f"Y{youtube_id}", audiocap_id)
        file, reason = clips.find(youtube_id, start, stems)
        sound = Sound(
            clip_id=f"{NAME}/{name}",
            corpus=NAME,
            split=SPLITS[split],
            file=f"audio/{split}/{name}",
            path=file,
            reason=reason,
        )
        text = re.sub(r"\s*[\r\n]\s*", " ", text)
        yield CaptionRow(caption_id=f"{NAME}/{audiocap_id}", sound=sound, text=text)
