"""Screens and standardizes the ratings of any listening test: CSV to CSV, Parquet to Parquet.

A ratings file has the columns wav_file_name, text, score and listener_id, and any others; without a
column text, a pair is a sound. Scores are on 0-10 or on the `scale` that is given. `tell` takes the
sentences about what the ratings cannot show.

N = ratings, P = pairs.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from soundjudge.data.tables import spellings, tables
from soundjudge.data.user_files import delimited, user_tables
from soundjudge.data.user_files.outputs import locked_output
from soundjudge.errors import SoundjudgeError
from soundjudge.labels import scales
from soundjudge.labels.library import RATINGS
from soundjudge.labels.ratings import panel, rating_arrays, screening
from soundjudge.labels.ratings.config import LatentConfig, Screening, Shrinkage
from soundjudge.labels.ratings.panel import Panel
from soundjudge.labels.ratings.rating_arrays import RatingArrays
from soundjudge.labels.ratings.standardization import pair_targets
from soundjudge.labels.scales import Scale
from soundjudge.runtime.artifacts import atomic_file

Tell = Callable[[str], None]


def read_ratings(
    path: Path, scale: Scale | None = None, *, generators: bool = False
) -> pd.DataFrame:
    """The checked ratings of a file, scores on 0-10; no column text if the file has none.

    With `generators` also model_id, if the file has it.
    """
    header = user_tables.read_header(path) if path.is_file() else []
    named = generators and "model_id" in header
    table = replace(tables.RATINGS.without("split") if named else RATINGS, ranges={})
    if path.is_file() and not user_tables.has_text(header, path):
        table = table.without("text")
    ratings = user_tables.read_user_table(path, table)
    if ratings.empty:
        raise SoundjudgeError(f"{path} has no ratings: it needs a row for each")
    score = scales.to_ten(ratings["score"].to_numpy(), scale, str(path))
    return ratings.assign(score=score)


def read_arrays(path: Path, scale: Scale | None = None) -> RatingArrays:
    """The same as numbers."""
    return rating_arrays.rating_arrays(read_ratings(path, scale))


def tell_nothing(sentence: str) -> None:
    """For callers who do not want to know."""
    del sentence


def screen_file(
    path: Path,
    out: Path,
    rules: Screening,
    *,
    scale: Scale | None = None,
    overwrite: bool = False,
    tell: Tell = tell_nothing,
) -> tuple[Panel, Panel]:
    """Writes the trusted ratings of `path`, rows and all columns unchanged.

    Returns the designs of what was kept and of what was read.
    """
    suffixes = (".parquet",) if _is_parquet(path) else (".csv", ".tsv")
    with locked_output(out, [path], suffixes, overwrite=overwrite) as target:
        ratings = read_arrays(path, scale)
        design = describe_and_tell(ratings, tell)
        kept = screening.kept_rows(ratings, rules, str(path))
        with atomic_file(target) as temporary:
            if _is_parquet(path):
                pq.write_table(pq.read_table(path).filter(kept), temporary, compression="zstd")
            else:
                delimited.copy_rows(path, temporary, kept)
    return panel.describe_panel(ratings.where(kept)), design


def standardize_file(
    path: Path,
    out: Path,
    statistics_from: Path | None,
    shrinkage: Shrinkage,
    latent: LatentConfig | None,
    *,
    shrink_means: bool = False,
    scale: Scale | None = None,
    overwrite: bool = False,
    tell: Tell = tell_nothing,
) -> int:
    """Writes one target per pair, listeners on one scale; returns the number of pairs.

    Listeners of `statistics_from`, by default of `path`, keep their own mean and std; all others
    have the global ones. `latent` adds the latent scores, from the ratings of `path` alone.
    `shrink_means` makes mean_score the shrunken mean.
    """
    suffixes = (".parquet",) if _is_parquet(path) else (".csv",)
    with locked_output(out, [path, statistics_from], suffixes, overwrite=overwrite) as target:
        table = read_ratings(path, scale)
        ratings = reference = rating_arrays.rating_arrays(table)
        if statistics_from is not None:
            reference = read_arrays(statistics_from, scale)
            names = (str(path), str(statistics_from))
            spellings.check_same_spellings(ratings.listener_ids, reference.listener_ids, *names)
        describe_and_tell(reference, tell)
        where = str(statistics_from or path)
        targets = pair_targets(
            table, ratings, reference, shrinkage, latent, shrink_means=shrink_means, where=where
        )
        absent = [name for name in tables.TARGETS.columns if name not in targets]
        tables.write_table(targets, target, tables.TARGETS.without(*absent))
    return len(targets)


def describe_and_tell(ratings: RatingArrays, tell: Tell) -> Panel:
    """The design of the ratings; what it cannot show is told."""
    design = panel.describe_panel(ratings)
    for sentence in design.notes():
        tell(sentence)
    return design


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"
