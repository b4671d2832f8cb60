"""The upstream corpora -> one prepared folder: clips, captions, pairs, ratings, rejections."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data.corpora import audiocaps, corpus, coverage, intake, vggsound, xacle
from soundjudge.data.tables import tables
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.corpora.corpus import Corpus, Rejection
from soundjudge.data.corpora.coverage import Coverage
from soundjudge.errors import SoundjudgeError
from soundjudge.data.corpora.xacle import XacleCorpus


@dataclass(frozen=True, kw_only=True)
class Corpora:
    """Everything listed: XACLE, and the captioned corpora that are there."""

    xacle: XacleCorpus
    captioned: list[Corpus]

    @property
    def all(self) -> list[Corpus]:
        """Every corpus, XACLE last as in the order of clip ids."""
        return [*self.captioned, self.xacle.corpus]


@dataclass(frozen=True, kw_only=True)
class PreparationResult:
    """What was written: the numbers of each corpus, and the sounds that two of them share."""

    coverage: dict[str, Coverage]
    overlap: dict[str, int]


def list_corpora(preparation: Preparation) -> Corpora:
    """Reads the lists of all corpora, and no sound. Raises TableError or PreparationError."""
    readers = {
        "audiocaps": (audiocaps.read_audiocaps, preparation.audiocaps),
        "vggsound": (vggsound.read_vggsound, preparation.vggsound),
    }
    if corpus.is_omitted(preparation.xacle, "prepare.xacle"):
        raise SoundjudgeError(
            f"prepare.xacle: {preparation.xacle} holds only a README.md; ratings are needed"
        )
    corpora = Corpora(
        xacle=xacle.read_xacle(preparation.xacle),
        captioned=[
            read(folder, preparation.max_characters)
            for name, (read, folder) in readers.items()
            if not corpus.is_omitted(folder, f"prepare.{name}")
        ],
    )
    # What is missing is known before hours of reading.
    missing = [
        Rejection(corpus=sound.corpus, file=sound.file, reason="missing")
        for sound in all_sounds(corpora)
        if sound.path is None
    ]
    coverage.check_coverage(corpora.all, missing, preparation)
    return corpora


def all_sounds(corpora: Corpora) -> list[corpus.Sound]:
    """Every sound that any corpus lists."""
    return [sound for one in corpora.all for sound in one.sounds]


def write_prepared(
    corpora: Corpora,
    preparation: Preparation,
    folder: Path,
    work: Path,
    workers: int,
    log: Callable[[str], None],
) -> PreparationResult:
    """Writes the prepared folder; goes on with what `work` holds.

    Ratings of the test split are not written: see quarantined.
    """

    def refuse(rejections: Iterable[Rejection]) -> None:
        coverage.check_coverage(corpora.all, rejections, preparation)

    taken = intake.write_shards(all_sounds(corpora), folder, work, preparation, workers, log, refuse)
    refuse(taken.rejections)
    of_lists = [rejection for one in corpora.all for rejection in one.rejections]
    rejections = [*taken.rejections, *of_lists]

    clips = set(taken.clips["clip_id"])
    captions = pd.concat(
        [
            pd.DataFrame(columns=list(tables.CAPTIONS.columns)),
            *(c.captions for c in corpora.captioned),
        ]
    )
    captions = captions[captions["clip_id"].isin(clips)].sort_values("caption_id")
    rated = _heard(corpora.xacle.rated, clips)
    ratings = _heard(corpora.xacle.ratings, clips)
    rejected = pd.DataFrame(
        sorted((one.corpus, one.file, one.reason) for one in rejections),
        columns=list(tables.REJECTED.columns),
    )
    tables.write_table(taken.clips, folder / "clips.parquet", tables.CLIPS)
    tables.write_table(captions, folder / "captions.parquet", tables.CAPTIONS)
    tables.write_table(rated, folder / "rated.parquet", tables.RATED)
    tables.write_table(ratings[ratings["split"] != "test"], folder / "ratings.parquet", tables.RATINGS)
    tables.write_table(rejected, folder / "rejected.csv", tables.REJECTED)
    return PreparationResult(
        coverage=coverage.measure_coverage(corpora.all, taken, captions, rejections),
        overlap=coverage.overlap(taken.clips),
    )


def test_ratings(corpora: Corpora, clips: Iterable[str]) -> pd.DataFrame:
    """The quarantined RATINGS of the test split; empty where nobody published them."""
    ratings = _heard(corpora.xacle.ratings, set(clips))
    return ratings[ratings["split"] == "test"]


def _heard(frame: pd.DataFrame, clips: set[str]) -> pd.DataFrame:
    return frame[[tables.rated_clip_id(name) in clips for name in frame["wav_file_name"]]]
