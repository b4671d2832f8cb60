"""XACLE as downloaded -> sounds, rated pairs and listeners' ratings.

<folder>/meta_data/{train,validation,test}.csv   wav_file_name,text,score,listener_id[,model_id];
                                                 test.csv may have wav_file_name,text alone, or lack
<folder>/wav/<split>/<wav_file_name>
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data import delimited, tables
from soundjudge.data.corpus import Corpus, Sound
from soundjudge.data.tables import TableError

NAME = "xacle"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Xacle:
    """The corpus, its RATED pairs of all splits and its RATINGS of the splits that have them."""

    corpus: Corpus
    rated: pd.DataFrame
    ratings: pd.DataFrame


def clip_id(wav_file_name: str) -> str:
    """The clip id of a challenge sound."""
    return f"{NAME}/{wav_file_name}"


def read(folder: Path) -> Xacle:
    """Everything that the folder's lists name; raises TableError."""
    frames = {split: _read_split(folder / "meta_data" / f"{split}.csv", split) for split in SPLITS}
    listed = pd.concat([frame for frame in frames.values() if len(frame)], ignore_index=True)
    rated = listed[list(tables.RATED.columns)].drop_duplicates()
    rated = rated.sort_values("wav_file_name", ignore_index=True)
    repeated = rated.loc[rated["wav_file_name"].duplicated(), "wav_file_name"]
    if len(repeated):
        splits = rated.loc[rated["wav_file_name"] == repeated.iloc[0], "split"]
        raise TableError(
            f"{folder / 'meta_data'}: {repeated.iloc[0]!r} stands in {' and '.join(splits)}.csv;"
            " a sound belongs to one split"
        )
    sounds = [
        _sound(folder, name, split)
        for name, split in zip(rated["wav_file_name"], rated["split"], strict=True)
    ]
    ratings = listed[listed["score"].notna()]
    ratings = ratings.sort_values(["wav_file_name", "listener_id"], ignore_index=True)
    captions = pd.DataFrame(columns=list(tables.CAPTIONS.columns))
    corpus = Corpus(name=NAME, sounds=sounds, captions=captions)
    return Xacle(corpus=corpus, rated=rated, ratings=ratings)


def _read_split(path: Path, split: str) -> pd.DataFrame:
    if split == "test" and not path.is_file():
        return pd.DataFrame(columns=list(tables.RATINGS.columns))
    if not path.is_file():
        raise TableError(f"{path} does not exist: name the folder that holds meta_data and wav")
    header = next(delimited.iter_rows(path), [])
    unlabelled = split == "test" and "score" not in header and "listener_id" not in header
    table = tables.RATED if unlabelled else tables.RATINGS
    frame = tables.read(path, table.without("split")).assign(split=split)
    if split != "test" and frame.empty:
        raise TableError(f"{path} has a header and no rows")
    return frame.reindex(columns=list(tables.RATINGS.columns))


def _sound(folder: Path, name: str, split: str) -> Sound:
    file = f"wav/{split}/{name}"
    path = folder / file
    found = path if path.is_file() else None
    return Sound(clip_id=clip_id(name), corpus=NAME, split=split, file=file, path=found)
