"""AudioCaps as downloaded -> sounds and captions.

<folder>/{train,val,test}.csv                         audiocap_id,youtube_id,start_time,caption;
                                                      any of the three
<folder>/audio/<split>/<youtube_id>_<start_time>.wav  or without <split>/, or <youtube_id>.wav;
                                                      flac, ogg, opus and mp3 as well
"""

from collections.abc import Iterator
from pathlib import Path

from soundjudge.data import corpus, tables
from soundjudge.data.corpus import Captioned, Corpus, Sound
from soundjudge.data.tables import TableError

NAME = "audiocaps"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
LIST = tables.Table(
    name="AudioCaps",
    columns={"audiocap_id": "str", "youtube_id": "str", "start_time": "str", "caption": "str"},
    nullable=("caption",),
)


def read(folder: Path) -> Corpus:
    """Everything that the folder's lists name; raises TableError."""
    lists = [split for split in SPLITS if (folder / f"{split}.csv").is_file()]
    if not lists:
        raise TableError(f"{folder} holds none of train.csv, val.csv and test.csv of AudioCaps")
    rows = (row for split in lists for row in _rows(folder, split))
    return corpus.captioned(NAME, rows, [])


def _rows(folder: Path, split: str) -> Iterator[Captioned]:
    frame = tables.read(folder / f"{split}.csv", LIST)
    files = corpus.audio_files(folder / "audio" / split, folder / "audio")
    columns = (frame[name] for name in ("audiocap_id", "youtube_id", "start_time"))
    captions = frame["caption"].fillna("")
    for audiocap_id, youtube_id, start, text in zip(*columns, captions, strict=True):
        name = f"{youtube_id}_{start}"
        sound = Sound(
            clip_id=f"{NAME}/{name}",
            corpus=NAME,
            split=SPLITS[split],
            file=f"audio/{split}/{name}",
            path=files.get(name) or files.get(youtube_id),
        )
        yield Captioned(caption_id=f"{NAME}/{audiocap_id}", sound=sound, text=text)
