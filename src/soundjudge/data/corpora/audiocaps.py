"""AudioCaps as downloaded -> sounds and captions.

<folder>/{train,val,test}.csv                         audiocap_id,youtube_id,start_time,caption;
                                                      any of the three, of version 1 or 2; or in
                                                      dataset/ (1) or dataset2.0/ (2), as in the
                                                      official repository
<folder>/audio/<split>/<youtube_id>_<start_time>.wav  or <youtube_id>, Y<youtube_id> or
                                                      <audiocap_id>, as the common downloaders name
                                                      it; in audio/ or <split>/ as well; flac, ogg,
                                                      opus and mp3 as well
"""

from collections.abc import Iterator
from pathlib import Path

from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.data.corpora import corpus
from soundjudge.data.tables import tables
from soundjudge.data.corpora.corpus import CaptionRow, Corpus, Sound
from soundjudge.errors import SoundjudgeError
from soundjudge.data.tables.schema import Table

NAME = "audiocaps"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
VERSIONS = (".", "dataset", "dataset2.0")
LIST = Table(
    name="AudioCaps",
    columns={"audiocap_id": "str", "youtube_id": "str", "start_time": "str", "caption": "str"},
    nullable=("caption",),
)


def read_audiocaps(folder: Path, max_characters: int) -> Corpus:
    """Everything that the folder's lists name; raises TableError."""
    lists = [(split, folder / version / f"{split}.csv") for version in VERSIONS for split in SPLITS]
    lists = [(split, path) for split, path in lists if path.is_file()]
    if not lists:
        raise SoundjudgeError(f"{folder} holds none of train.csv, val.csv and test.csv of AudioCaps")
    first, last = lists[0][1].parent, lists[-1][1].parent
    if first != last:
        raise SoundjudgeError(f"{first} and {last} both hold lists of AudioCaps: keep one version")
    rows = (row for split, path in lists for row in _rows(folder, split, path))
    return corpus.build_corpus(NAME, rows, [], max_characters)


def _rows(folder: Path, split: str, path: Path) -> Iterator[CaptionRow]:
    frame = read_user_table(path, LIST)
    files = corpus.audio_files(folder / "audio" / split, folder / "audio", folder / split)
    columns = (frame[name] for name in ("audiocap_id", "youtube_id", "start_time"))
    captions = frame["caption"].fillna("")
    for audiocap_id, youtube_id, start, text in zip(*columns, captions, strict=True):
        name = f"{youtube_id}_{start}"
        names = (name, youtube_id, f"Y{youtube_id}", audiocap_id)
        sound = Sound(
            clip_id=f"{NAME}/{name}",
            corpus=NAME,
            split=SPLITS[split],
            file=f"audio/{split}/{name}",
            path=next((files[one] for one in names if one in files), None),
        )
        yield CaptionRow(caption_id=f"{NAME}/{audiocap_id}", sound=sound, text=text)
