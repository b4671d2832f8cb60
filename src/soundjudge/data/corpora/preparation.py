"""The upstream corpora to one prepared folder: clips, captions, pairs, ratings, rejections."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from soundjudge.data.audio.level import amplitude
from soundjudge.data.clips.clip_levels import ClipLevels, write_levels
from soundjudge.data.corpora import (
    audiocaps,
    corpus,
    coverage,
    intake,
    recordings,
    vggsound,
    xacle,
)
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.corpora.clip_writer import Clip, ClipWriter, to_pcm
from soundjudge.data.corpora.corpus import Corpus, Rejection, Sound
from soundjudge.data.corpora.coverage import CoverageReport
from soundjudge.data.corpora.xacle import XacleCorpus
from soundjudge.data.tables import tables
from soundjudge.data.tables.tables import SAMPLE_RATE, SILENCE_CORPUS
from soundjudge.errors import SoundjudgeError

SECONDS = 5.0  # as most generators make them
STEP_DB = 6.0  # between the peaks of two clips
SPLIT = "train"


@dataclass(frozen=True, kw_only=True)
class Corpora:
    """The lists of XACLE and of the captioned corpora."""

    xacle: XacleCorpus
    captioned: list[Corpus]

    @property
    def all(self) -> list[Corpus]:
        """Every corpus, XACLE last, as in the order of clip ids."""
        return [*self.captioned, self.xacle.corpus]

    @property
    def sounds(self) -> list[Sound]:
        """Every sound that any corpus lists."""
        return [sound for listed in self.all for sound in listed.sounds]


def list_corpora(config: Preparation) -> Corpora:
    """Reads the lists of all corpora, and no sound. Raises SoundjudgeError."""
    readers = {
        "audiocaps": (audiocaps.read_audiocaps, config.audiocaps),
        "vggsound": (vggsound.read_vggsound, config.vggsound),
    }
    if corpus.is_omitted(config.xacle, "prepare.xacle"):
        raise SoundjudgeError(
            f"prepare.xacle: {config.xacle} holds only a README.md; ratings are needed"
        )
    captioned = [
        read(folder, config.max_characters)
        for name, (read, folder) in readers.items()
        if not corpus.is_omitted(folder, f"prepare.{name}")
    ]
    corpora = Corpora(
        xacle=xacle.read_xacle(config.xacle), captioned=recordings.without_validated(captioned)
    )
    # Missing files can be refused before hours of reading.
    missing = [sound.reject(sound.reason) for sound in corpora.sounds if sound.path is None]
    coverage.check_coverage(corpora.all, missing, config)
    return corpora


def write_prepared(
    corpora: Corpora,
    config: Preparation,
    folder: Path,
    work: Path,
    workers: int,
    log: Callable[[str], None],
) -> CoverageReport:
    """Writes the prepared folder, without `test_ratings`; resumes from `work`."""

    def refuse(rejections: Iterable[Rejection]) -> None:
        coverage.check_coverage(corpora.all, rejections, config)

    result = intake.write_shards(corpora.sounds, folder, work, config, workers, log, refuse)
    refuse(result.rejections)
    rejections = [*result.rejections, *(r for listed in corpora.all for r in listed.rejections)]

    kept = set(result.clips["clip_id"])
    captions = pd.concat(
        [
            pd.DataFrame(columns=list(tables.CAPTIONS.columns)),
            *(listed.captions for listed in corpora.captioned),
        ]
    )
    captions = captions[captions["clip_id"].isin(kept)].sort_values("caption_id")
    rated = _rows_of_clips(corpora.xacle.rated, kept)
    ratings = _rows_of_clips(corpora.xacle.ratings, kept)
    ratings = ratings[ratings["split"] != "test"]
    rejected = pd.DataFrame(
        sorted((rejection.corpus, rejection.file, rejection.reason) for rejection in rejections),
        columns=list(tables.REJECTED.columns),
    )
    clips = write_silent_clips(folder, result.clips, config)
    tables.write_table(clips, folder / "clips.parquet", tables.CLIPS)
    tables.write_table(captions, folder / "captions.parquet", tables.CAPTIONS)
    tables.write_table(rated, folder / "rated.parquet", tables.RATED)
    tables.write_table(ratings, folder / "ratings.parquet", tables.RATINGS)
    tables.write_table(rejected, folder / "rejected.csv", tables.REJECTED)
    levels = ClipLevels(
        silence_dbfs=config.silence_dbfs, level_dbfs=config.level_dbfs, silent=tuple(result.silent)
    )
    write_levels(folder, levels)
    return CoverageReport(
        corpora=coverage.measure_coverage(corpora.all, result, captions, rejections),
        overlap=coverage.overlap(result.clips),
        recordings=recordings.shared_recordings(corpora.captioned),
    )


def test_ratings(corpora: Corpora, clips: Iterable[str]) -> pd.DataFrame:
    """The RATINGS of the test split, which no training may read; empty if unpublished."""
    ratings = _rows_of_clips(corpora.xacle.ratings, set(clips))
    return ratings[ratings["split"] == "test"]


def _rows_of_clips(frame: pd.DataFrame, clips: set[str]) -> pd.DataFrame:
    return frame[[tables.rated_clip_id(name) in clips for name in frame["wav_file_name"]]]


def write_silent_clips(folder: Path, clips: pd.DataFrame, config: Preparation) -> pd.DataFrame:
    """The CLIPS table `clips` with `num_silent` more, which a shard of their own holds.

    The first is digital silence, the others are white noise, each fainter than the last.
    """
    if not config.num_silent:
        return clips
    samples = int(min(SECONDS, config.max_seconds) * SAMPLE_RATE)
    shard = int(clips["shard"].max()) + 1 if len(clips) else 0
    writer = ClipWriter(folder, config.num_silent * samples, shard)
    for number in range(config.num_silent):
        noise = np.random.default_rng(number).uniform(-1.0, 1.0, samples)
        peak = amplitude(config.silence_dbfs - number * STEP_DB) if number else 0.0
        identity = {"corpus": SILENCE_CORPUS, "split": SPLIT}
        wave = (peak * noise).astype(np.float32)
        clip_id = f"{SILENCE_CORPUS}/{number}"
        writer.add(Clip(clip_id=clip_id, pcm=to_pcm(wave), **identity))
    own = pd.DataFrame(writer.close(), columns=list(tables.CLIPS.columns))
    return pd.concat([clips, own]).sort_values("clip_id", ignore_index=True)
