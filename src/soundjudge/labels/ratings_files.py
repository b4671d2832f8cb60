"""Screens and standardizes anyone's listening test: CSV in, CSV out.

A ratings file has the columns wav_file_name, text, score (0 to 10) and listener_id, and any others.
"""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.artifacts import atomic_file
from soundjudge.data import delimited, tables
from soundjudge.data.schema import Table
from soundjudge.labels import listeners

# One clip may be rated with several texts here; in the challenge it never is.
RATINGS = Table(
    name="ratings",
    columns={"wav_file_name": "str", "text": "str", "score": "float", "listener_id": "str"},
    key=("wav_file_name", "text", "listener_id"),
    ranges={"score": (0.0, 10.0)},
)
TARGETS = tables.TARGETS.without("split")


def read(path: Path) -> pd.DataFrame:
    """The checked ratings of a CSV file."""
    ratings = tables.read(path, RATINGS)
    if ratings.empty:
        raise tables.TableError(f"{path} has no ratings")
    return ratings


def screen_file(path: Path, out: Path, tolerance: float) -> tuple[int, int]:
    """Writes the ratings of `path` that another rating of their pair confirms, rows as they were.

    Returns (ratings kept, ratings read).
    """
    if tolerance < 0:
        raise listeners.LabelError(f"the tolerance is {tolerance}: choose 0 or more rating points")
    kept: NDArray[np.bool_] = listeners.agreeing(read(path), tolerance)
    if not kept.any():
        raise listeners.LabelError(
            f"{path}: no two ratings of any pair lie within {tolerance:g} points"
        )
    header, rows = delimited.read(path)
    with atomic_file(out) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(row for row, keep in zip(rows, kept, strict=True) if keep)
    return int(kept.sum()), len(kept)


def standardize_file(path: Path, out: Path, statistics_from: Path | None) -> int:
    """Writes one target a pair, listeners on one scale; returns the number of pairs.

    Listeners of `statistics_from` keep their own mean and std, all others take the global pair of
    that file; without it the ratings themselves serve.
    """
    ratings = read(path)
    known = listeners.statistics(ratings if statistics_from is None else read(statistics_from))
    targets = listeners.targets(ratings, known, listeners.global_statistics(known))
    tables.write(targets, out, TARGETS)
    return len(targets)
