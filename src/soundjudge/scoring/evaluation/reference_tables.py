"""Tables of predictions, mean ratings and single ratings of the same pairs, checked and joined."""

from collections.abc import Collection, Hashable
from dataclasses import replace

import numpy as np
import pandas as pd

from soundjudge.data.tables import spellings, tables
from soundjudge.data.tables.schema import Table, check_table
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.ensemble.matching import PAIR

PREDICTION = "pred_score"
# The challenge's name of a mean rating, and that of our targets.
REFERENCES = ("average_score", "mean_score")
# Rating points between a reference and the mean of its ratings: one rounded to a decimal passes.
TOLERANCE, RATED_MEAN = 0.05 + 1e-9, "mean_of_ratings"
SCALE = (0.0, 10.0)  # of mean ratings, and of predictions whose errors mean something
RATINGS = tables.RATINGS.without("listener_id", "split")


def ratings_in_order(frame: pd.DataFrame, ratings: pd.DataFrame) -> pd.DataFrame:
    """The ratings, sorted by the pairs of `frame`, which has their average_score.

    Without a column text, a pair is a sound. Raises SoundjudgeError unless their means are the
    reference, to TOLERANCE.
    """
    key = [name for name in PAIR if name in ratings]
    absent = [name for name in ("text", "model_id") if name not in ratings]
    check_table(ratings, RATINGS.without(*absent), "the ratings")
    means = ratings.groupby(key, sort=False)["score"].mean().rename(RATED_MEAN).reset_index()
    reference = frame.drop(columns=PREDICTION)
    matched = matching.match_pairs(means, reference, "the ratings", "the reference")
    wrong = (matched[RATED_MEAN] - matched["average_score"]).abs() > TOLERANCE
    if wrong.any():
        first = matched[wrong].iloc[0]
        raise SoundjudgeError(
            f"the mean of the ratings is not the reference for {wrong.sum()} of {len(matched)} "
            f"pairs, the first is {first['wav_file_name']}: {first[RATED_MEAN]:.3f} and "
            f"{first['average_score']:.3f}; give the ratings that the reference is the mean of, "
            "from 0 to 10 as 'soundjudge standardize' writes it"
        )
    row = matched[key].assign(row=np.arange(len(matched)))  # of each pair in the reference
    ordered = ratings.merge(row, on=key).sort_values("row", kind="stable")
    return ordered.drop(columns="row")


def with_generators(frame: pd.DataFrame, ratings: pd.DataFrame) -> pd.DataFrame:
    """The frame with the model_id that the ratings name, where it has no such column."""
    if "model_id" in frame or "model_id" not in ratings:
        return frame
    names = ratings.drop_duplicates("wav_file_name").set_index("wav_file_name")["model_id"]
    return frame.assign(model_id=frame["wav_file_name"].map(names))


def reference_column(columns: Collection[Hashable], where: str) -> str:
    """Which of the columns holds mean ratings; `where` names the table in errors.

    Raises SoundjudgeError where none does, or more than one may.
    """
    names = [name for name in REFERENCES if name in columns]
    if not names:
        raise SoundjudgeError(
            f"{where} has no column {REFERENCES[0]} (has {', '.join(map(str, columns))})"
            + (": make averages of ratings with standardize" if "score" in columns else "")
        )
    if len(names) > 1:
        raise SoundjudgeError(
            f"{where}: the mean ratings may be in {' or '.join(names)}: rename or remove the one "
            "that is not meant"
        )
    return names[0]


def reference_table(columns: Collection[Hashable], where: str) -> Table:
    """The rules of a reference with these columns: mean ratings are on SCALE."""
    name = reference_column(columns, where)
    return replace(matching.pair_table(columns, name), ranges={name: SCALE})


def rename_reference(reference: pd.DataFrame) -> pd.DataFrame:
    """wav_file_name, average_score and, where it has them, text and model_id."""
    table = reference_table(list(reference), "the reference")
    name = reference_column(list(reference), "the reference")
    selected = _select(reference, table, "the reference").rename(columns={name: REFERENCES[0]})
    if "model_id" in reference:
        selected = selected.assign(model_id=reference["model_id"])
    return selected


def match_predictions(
    predictions: pd.DataFrame, reference: pd.DataFrame, where: str
) -> pd.DataFrame:
    """The rows of the reference with their pred_score; `where` names the predictions."""
    selected = _select(predictions, matching.pair_table(list(predictions), PREDICTION), where)
    return matching.match_pairs(selected, reference, where, "the reference")


def _select(frame: pd.DataFrame, table: Table, where: str) -> pd.DataFrame:
    check_table(frame, table, where)
    spellings.check_ids(frame, where)
    for name in table.ranges:  # the number
        if len(frame) > 1 and frame[name].nunique() == 1:
            raise SoundjudgeError(
                f"{where}: every {name} is {frame[name].iloc[0]:g}, and a constant has no "
                "correlation: give one that tells pairs apart"
            )
    return frame[list(table.columns)]
