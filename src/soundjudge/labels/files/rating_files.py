"""Screens and standardizes anyone's listening test: CSV in, CSV out; Parquet in, Parquet out.

A ratings file has the columns wav_file_name, text, score (0 to 10) and listener_id, and any others.

N = ratings, P = pairs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from soundjudge.data.tables import tables
from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.user_tables import read_user_table
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.files import parquet_ratings
from soundjudge.labels.ratings import latent, listeners, rating_arrays, screening
from soundjudge.labels.ratings.latent import LatentConfig
from soundjudge.labels.ratings.rating_arrays import PAIR, RatingArrays
from soundjudge.labels.ratings.screening import Screening
from soundjudge.labels.ratings.shrinkage import Shrinkage
from soundjudge.runtime.artifacts import atomic_file

RATINGS = tables.RATINGS.without("split", "model_id")
TARGETS = tables.TARGETS.without("split")
LATENT_COLUMNS = ["latent_score", "latent_se"]
# Those of params.yaml.
LATENT_MODEL = LatentConfig(scale_sd=0.3, noise_prior_weight=8, tolerance=1e-8, max_iterations=500)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much of a listening test there is."""

    ratings: int
    listeners: int
    pairs: int


def read_ratings(path: Path) -> pd.DataFrame:
    """The checked ratings of a CSV file."""
    ratings = read_user_table(path, RATINGS)
    if ratings.empty:
        raise SoundjudgeError(f"{path} has no ratings: it needs a row for each")
    return ratings


def screen_file(path: Path, out: Path, rules: Screening) -> tuple[Counts, Counts]:
    """Writes the trusted ratings of `path`, rows and all columns as they were.

    Returns what was kept and what was read.
    """
    _check_output(out, path)
    ratings = _coded(path)
    kept = screening.drop_reasons(ratings, rules) == screening.KEPT
    if not kept.any():
        reason = screening.nothing_left_message("ratings", rules)
        raise SoundjudgeError(f"{path}: {reason}: raise the tolerance or choose another method")
    if path.suffix == ".parquet":
        parquet_ratings.write_parquet_rows(path, out, kept)
    else:
        with atomic_file(out) as part, part.open("w", newline="", encoding="utf-8") as file:
            delimited.copy_rows(path, file, kept)
    return _counts(ratings.where(kept)), _counts(ratings)


def standardize_file(
    path: Path, out: Path, statistics_from: Path | None, shrinkage: Shrinkage, *, model: bool
) -> int:
    """Writes one target a pair, listeners on one scale; returns the number of pairs.

    Listeners of `statistics_from` keep their own mean and std, all others take the global pair of
    that file; without it the ratings themselves serve. `model` adds the latent scores, for which
    the ratings of `path` alone count.
    """
    _check_output(out, path, statistics_from)
    table = read_ratings(path) if path.suffix != ".parquet" else None
    ratings = (
        parquet_ratings.read_parquet_ratings(path)
        if table is None
        else rating_arrays.rating_arrays(table)
    )
    known = ratings if statistics_from is None else _coded(statistics_from)
    scales = listeners.listener_scales(known, shrinkage)
    scores = listeners.pair_scores(ratings, scales.listeners, scales.overall)
    if model:
        estimate = latent.estimate_latent(ratings, LATENT_MODEL)
        scores = scores.assign(latent_score=estimate.score, latent_se=estimate.error)
    columns = [name for name in TARGETS.columns if name in scores]
    first = rating_arrays.first_rows(ratings.pair, ratings.pairs)
    if table is None:
        _write_columns(path, out, first, len(ratings.pair), scores[columns])
    else:
        pairs = table[PAIR].iloc[first].reset_index(drop=True)
        written = TARGETS if model else TARGETS.without(*LATENT_COLUMNS)
        tables.write_table(pairs.join(scores[columns]), out, written)
    return len(scores)


def _write_columns(
    path: Path, out: Path, first: NDArray[np.intp], ratings: int, scores: pd.DataFrame
) -> None:
    rows = np.zeros(ratings, dtype=np.bool_)
    rows[first] = True  # of a pair's rows; numbers of pairs follow the order of these

    def joined(block: pa.Table, before: int) -> pa.Table:
        part = scores.iloc[before : before + len(block)]
        block = block.select(PAIR).cast(pa.schema([(name, pa.string()) for name in PAIR]))
        for name in scores:
            block = block.append_column(str(name), pa.array(part[name]))
        return block

    parquet_ratings.write_parquet_rows(path, out, rows, joined)


def _coded(path: Path) -> RatingArrays:
    return (
        parquet_ratings.read_parquet_ratings(path)
        if path.suffix == ".parquet"
        else rating_arrays.rating_arrays(read_ratings(path))
    )


def _check_output(out: Path, path: Path, statistics_from: Path | None = None) -> None:
    """TableError unless `out` can become a file of the kind of `path`, and is none that is read."""
    wanted = ".parquet" if path.suffix == ".parquet" else ".csv"
    if out.is_dir():
        raise SoundjudgeError(f"{out} is a folder: name a {wanted} file in it")
    if out.suffix != wanted:
        raise SoundjudgeError(f"{out}: the output is a {wanted} file here: let it end in {wanted}")
    if not out.parent.is_dir():
        raise SoundjudgeError(f"{out}: {out.parent} is no folder: make it, or name another")
    if out.resolve() in [read.resolve() for read in (path, statistics_from) if read]:
        raise SoundjudgeError(f"{out} is one of the files that are read: choose another output")


def _counts(ratings: RatingArrays) -> Counts:
    return Counts(
        ratings=len(ratings.pair),
        listeners=len(np.unique(ratings.listener)),
        pairs=len(np.unique(ratings.pair)),
    )
