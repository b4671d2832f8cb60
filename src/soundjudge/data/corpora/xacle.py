"""XACLE as downloaded: sounds, rated pairs and listeners' ratings.

<root>/meta_data/{train,validation}.csv   wav_file_name,text,score,listener_id[,model_id]
<root>/meta_data/test.csv                 the same, or wav_file_name,text alone, or lacking
<root>/meta_data/test_with_score.csv      the ratings of test under another name
<root>/meta_data/test_average.csv         wav_file_name,text,average_score: used where test has no
                                          ratings by listener, as one rating per pair
<root>/wav/<split>/<wav_file_name>        or wav/<wav_file_name>, in capitals or not

A root is the folder itself or any folder one or two levels below it: XACLE_dataset,
XACLE_test_data, XACLE_Challenge_2027_development_dataset, as the archives unpack, side by side.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data.corpora import clip_names
from soundjudge.data.corpora.corpus import Corpus, Sound
from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import Table
from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError

NAME = tables.RATED_CORPUS
SPLITS = ("train", "validation", "test")
# The tables that a list of the test split may be, the most informative first.
RATINGS = tables.RATINGS.without("split")
AVERAGES = Table(
    name="averages",
    columns={"wav_file_name": "str", "text": "str", "average_score": "float", "model_id": "str"},
    key=("wav_file_name",),
    nullable=("model_id",),
    ranges={"average_score": (0.0, 10.0)},
    files=("wav_file_name",),
)
PAIRS = tables.RATED.without("split")
TEST_LISTS = ("test.csv", "test_with_score.csv", "test_average.csv")
AVERAGE = "average"  # the listener_id of a pair's average rating


@dataclass(frozen=True, kw_only=True)
class XacleCorpus:
    """The corpus, its RATED pairs of all splits, and the RATINGS of those splits that have them."""

    corpus: Corpus
    rated: pd.DataFrame
    ratings: pd.DataFrame


def read_xacle(folder: Path) -> XacleCorpus:
    """All sounds, pairs and ratings of the folder's lists. Raises SoundjudgeError."""
    folders = [folder / "meta_data", *folder.glob("*/meta_data"), *folder.glob("*/*/meta_data")]
    roots = sorted(meta_data.parent for meta_data in folders if meta_data.is_dir())
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
    listings: dict[Path, dict[str, list[str]]] = {}
    sounds = [
        _sound(roots, name, split, listings)
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
        remedy = "name the folder that holds meta_data and wav"
        raise SoundjudgeError(f"{missing} does not exist: {remedy}")
    if len(paths) > 1:
        remedy = f"keep one of the two datasets in {folder}"
        raise SoundjudgeError(f"{paths[0]} and {paths[1]}: {remedy}")
    frame = read_user_table(paths[0], RATINGS)
    if frame.empty:
        raise SoundjudgeError(f"{paths[0]} has a header and no rows")
    return frame.assign(split=split)


def _read_test(roots: Sequence[Path]) -> pd.DataFrame:
    """The most informative list of the test split; the others must name the same sounds."""
    frames: dict[str, tuple[Path, pd.DataFrame]] = {}
    for path in _lists(roots, TEST_LISTS):
        table = _detect_table(path)
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
            first = ranked[0][0]
            raise SoundjudgeError(f"{first} and {path} list different sounds: keep one test set")
    best = ranked[0][1].assign(split="test")
    if "average_score" in best:
        best = best.assign(score=best["average_score"], listener_id=AVERAGE)
    return best.reindex(columns=list(tables.RATINGS.columns))


def _lists(roots: Sequence[Path], names: Sequence[str]) -> list[Path]:
    paths = (root / "meta_data" / name for root in roots for name in names)
    return [path for path in paths if path.is_file()]


def _detect_table(path: Path) -> Table:
    header = delimited.read_header(path)
    if "score" in header or "listener_id" in header:
        return RATINGS
    return AVERAGES if "average_score" in header else PAIRS


def _sound(
    roots: Sequence[Path], name: str, split: str, listings: dict[Path, dict[str, list[str]]]
) -> Sound:
    paths = [root / "wav" / file for root in roots for file in (f"{split}/{name}", name)]
    # A folder or a broken link is accepted: its rejection then says more than "missing".
    path = next((path for path in paths if os.path.lexists(path)), None)
    reason = "missing"
    if path is None:
        others = [
            candidate.parent / other
            for candidate in paths
            for other in clip_names.other_spellings(candidate.parent, candidate.name, listings)
        ]
        path = others[0] if len(others) == 1 else None
        if len(others) > 1:
            reason = f"ambiguous: {' and '.join(sorted(other.name for other in others))}"
    return Sound(
        clip_id=tables.rated_clip_id(name),
        corpus=NAME,
        split=split,
        file=f"wav/{split}/{name}",
        path=path,
        reason=reason,
    )
