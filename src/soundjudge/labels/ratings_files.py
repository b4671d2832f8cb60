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

from soundjudge.artifacts import atomic_file
from soundjudge.data import delimited, tables
from soundjudge.labels import coded, latent, listeners, ratings_columns, screening
from soundjudge.labels.coded import PAIR, Coded, LabelError
from soundjudge.labels.latent import Latent
from soundjudge.labels.screening import Screening
from soundjudge.labels.shrinkage import Shrinkage

RATINGS = tables.RATINGS.without("split", "model_id")
TARGETS = tables.TARGETS.without("split")
LATENT = ["latent_score", "latent_se"]
# Those of params.yaml.
LATENT_MODEL = Latent(scale_sd=0.3, noise_ratings=8, tolerance=1e-8, max_iterations=500)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much of a listening test there is."""

    ratings: int
    listeners: int
    pairs: int


def read(path: Path) -> pd.DataFrame:
    """The checked ratings of a CSV file."""
    ratings = tables.read(path, RATINGS)
    if ratings.empty:
        raise tables.TableError(f"{path} has no ratings: it needs a row for each")
    return ratings


def screen_file(path: Path, out: Path, rules: Screening) -> tuple[Counts, Counts]:
    """Writes the trusted ratings of `path`, rows and all columns as they were.

    Returns what was kept and what was read.
    """
    _check_output(out, path)
    ratings = _coded(path)
    kept = screening.reasons(ratings, rules) == screening.KEPT
    if not kept.any():
        reason = screening.nothing_left("ratings", rules)
        raise LabelError(f"{path}: {reason}: raise the tolerance or choose another method")
    if path.suffix == ".parquet":
        ratings_columns.write(path, out, kept)
    else:
        with atomic_file(out) as part, part.open("w", newline="", encoding="utf-8") as file:
            delimited.copy(path, file, kept)
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
    table = read(path) if path.suffix != ".parquet" else None
    ratings = ratings_columns.read(path) if table is None else coded.coded(table)
    known = ratings if statistics_from is None else _coded(statistics_from)
    scales = listeners.scales(known, shrinkage)
    scores = listeners.scores(ratings, scales.listeners, scales.overall)
    if model:
        estimate = latent.estimate(ratings, LATENT_MODEL)
        scores = scores.assign(latent_score=estimate.score, latent_se=estimate.error)
    columns = [name for name in TARGETS.columns if name in scores]
    first = coded.first_rows(ratings.pair, ratings.pairs)
    if table is None:
        _write_columns(path, out, first, len(ratings.pair), scores[columns])
    else:
        pairs = table[PAIR].iloc[first].reset_index(drop=True)
        written = TARGETS if model else TARGETS.without(*LATENT)
        tables.write(pairs.join(scores[columns]), out, written)
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

    ratings_columns.write(path, out, rows, joined)


def _coded(path: Path) -> Coded:
    return ratings_columns.read(path) if path.suffix == ".parquet" else coded.coded(read(path))


def _check_output(out: Path, path: Path, statistics_from: Path | None = None) -> None:
    """TableError unless `out` can become a file of the kind of `path`, and is none that is read."""
    wanted = ".parquet" if path.suffix == ".parquet" else ".csv"
    if out.is_dir():
        raise tables.TableError(f"{out} is a folder: name a {wanted} file in it")
    if out.suffix != wanted:
        raise tables.TableError(
            f"{out}: the output is a {wanted} file here: let it end in {wanted}"
        )
    if not out.parent.is_dir():
        raise tables.TableError(f"{out}: {out.parent} is no folder: make it, or name another")
    if out.resolve() in [read.resolve() for read in (path, statistics_from) if read]:
        raise tables.TableError(f"{out} is one of the files that are read: choose another output")


def _counts(ratings: Coded) -> Counts:
    return Counts(
        ratings=len(ratings.pair),
        listeners=len(np.unique(ratings.listener)),
        pairs=len(np.unique(ratings.pair)),
    )
