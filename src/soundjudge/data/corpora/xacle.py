"""XACLE as downloaded -> sounds, rated pairs and listeners' ratings.

<root>/meta_data/{train,validation}.csv   wav_file_name,text,score,listener_id[,model_id]
<root>/meta_data/test.csv                 the same, or wav_file_name,text alone, or lacking
<root>/meta_data/test_with_score.csv      the ratings of test under another name
<root>/meta_data/test_average.csv         wav_file_name,text,average_score: counts where test has no
                                          ratings by listener, as one rating a pair
<root>/wav/<split>/<wav_file_name>        or wav/<wav_file_name>

A root is the folder itself or any folder in it, one or two levels down: XACLE_dataset,
XACLE_test_data, XACLE_Challenge_2027_development_dataset, as the archives unpack, side by side.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.data.user_files import delimited
from soundjudge.data.tables import tables
from soundjudge.data.corpora.corpus import Corpus, Sound
from soundjudge.errors import SoundjudgeError
from soundjudge.data.tables.schema import Table

NAME = tables.RATED_CORPUS
SPLITS = ("train", "validation", "test")
# What a list of the test split may hold, the most telling first.
RATINGS = tables.RATINGS.without("split")
AVERAGES = Table(
    name="averages",
    columns={
        "wav_file_name": "str",
        "text": "str",
        "average_score": "float",
        "model_id": "str",
    },
    key=("wav_file_name",),
    nullable=("model_id",),
    ranges={"average_score": (0.0, 10.0)},
    files=("wav_file_name",),
)
PAIRS = tables.RATED.without("split")
TEST_LISTS = ("test.csv", "test_with_score.csv", "test_average.csv")
AVERAGE = "average"  # stands for the listeners where only their average is known


@dataclass(frozen=True, kw_only=True)
class XacleCorpus:
    """The corpus, its RATED pairs of all splits and its RATINGS of the splits that have them."""

    corpus: Corpus
    rated: pd.DataFrame
    ratings: pd.DataFrame


def read_xacle(folder: Path) -> XacleCorpus:
    """Everything that the folder's lists name; raises TableError."""
    places = [folder / "meta_data", *folder.glob("*/meta_data"), *folder.glob("*/*/meta_data")]
    roots = sorted(place.parent for place in places if place.is_dir())
    frames = [_read_rated(roots, split, folder) for split in ("train", "validation")]
    frames.append(_read_test(roots))
    listed = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    rated = listed[list(tables.RATED.columns)].drop_duplicates()
    rated = rated.sort_values("wav_file_name", ignore_index=True)
    repeated = rated.loc[rated["wav_file_name"].duplicated(), "wav_file_name"]
    if len(repeated):
        splits = rated.loc[rated["wav_file_name"] == repeated.iloc[0], "split"]
        raise SoundjudgeError(
            f"{folder}: {repeated.iloc[0]!r} stands in the lists of {' and '.join(sorted(splits))};"
            " a sound belongs to one split"
        )
    sounds = [
        _sound(roots, name, split)
        for name, split in zip(rated["wav_file_name"], rated["split"], strict=True)
    ]
    ratings = listed[listed["score"].notna()]
    ratings = ratings.sort_values(["wav_file_name", "listener_id"], ignore_index=True)
    captions = pd.DataFrame(columns=list(tables.CAPTIONS.columns))
    corpus = Corpus(name=NAME, sounds=sounds, captions=captions)
    return XacleCorpus(corpus=corpus, rated=rated, ratings=ratings)


def _read_rated(roots: Sequence[Path], split: str, folder: Path) -> pd.DataFrame:
    paths = _lists(roots, [f"{split}.csv"])
    if not paths:
        missing = folder / "meta_data" / f"{split}.csv"
        raise SoundjudgeError(f"{missing} does not exist: name the folder that holds meta_data and wav")
    if len(paths) > 1:
        raise SoundjudgeError(f"{paths[0]} and {paths[1]}: keep one of the two datasets in {folder}")
    frame = read_user_table(paths[0], RATINGS)
    if frame.empty:
        raise SoundjudgeError(f"{paths[0]} has a header and no rows")
    return frame.assign(split=split)


def _read_test(roots: Sequence[Path]) -> pd.DataFrame:
    """The most telling list of the test split; the others must name the same sounds."""
    frames: dict[str, tuple[Path, pd.DataFrame]] = {}
    for path in _lists(roots, TEST_LISTS):
        table = _kind(path)
        frame = read_user_table(path, table)
        if table.name in frames:
            other = frames[table.name][0]
            raise SoundjudgeError(f"{other} and {path} both hold {table.name} of test: keep one")
        frames[table.name] = (path, frame)
    ranked = [frames[table.name] for table in (RATINGS, AVERAGES, PAIRS) if table.name in frames]
    if not ranked:
        return pd.DataFrame(columns=list(tables.RATINGS.columns))
    for path, frame in ranked[1:]:
        if set(frame["wav_file_name"]) != set(ranked[0][1]["wav_file_name"]):
            raise SoundjudgeError(f"{ranked[0][0]} and {path} list different sounds: keep one test set")
    best = ranked[0][1].assign(split="test")
    if "average_score" in best:
        best = best.assign(score=best["average_score"], listener_id=AVERAGE)
    return best.reindex(columns=list(tables.RATINGS.columns))


def _lists(roots: Sequence[Path], names: Sequence[str]) -> list[Path]:
    paths = (root / "meta_data" / name for root in roots for name in names)
    return [path for path in paths if path.is_file()]


def _kind(path: Path) -> Table:
    header = delimited.read_header(path)
    if "score" in header or "listener_id" in header:
        return RATINGS
    return AVERAGES if "average_score" in header else PAIRS


def _sound(roots: Sequence[Path], name: str, split: str) -> Sound:
    places = [root / "wav" / place for root in roots for place in (f"{split}/{name}", name)]
    # A folder or a broken link counts as found: its rejection then says more than "missing".
    found = next((path for path in places if os.path.lexists(path)), None)
    return Sound(
        clip_id=tables.rated_clip_id(name), corpus=NAME, split=split, file=f"wav/{split}/{name}", path=found
    )
