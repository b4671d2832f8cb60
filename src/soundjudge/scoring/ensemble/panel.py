"""The members' predictions of one split, side by side: wav_file_name, text, a column per member.

N = pairs of the split, K = members.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.rounding import FLOAT32_DIGITS
from soundjudge.scoring.ensemble import ensemble, intervals, matching, refits
from soundjudge.scoring.ensemble.crossfit import CrossFit
from soundjudge.scoring.ensemble.ensemble import CROSSFITTED, ENSEMBLE, Ensemble
from soundjudge.scoring.ensemble.folds import RatedScores
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.ensemble.matching import PAIR

SILENT = "silent"  # column: whether the sound of a pair is silent
# What the ensemble stage writes for each split: column -> file.
COLUMNS = {
    "validation": {ENSEMBLE: "validation", CROSSFITTED: "validation_crossfitted"},
    "test": {ENSEMBLE: "test"},
}


def read_panel(folder: Path, members: Sequence[str], split: str) -> pd.DataFrame:
    """`folder`/<member>/<split>.csv of each member; all must hold the same pairs, in any order."""
    panel = _predictions(folder, members[0], split)
    for member in members[1:]:
        names = [(folder / name / f"{split}.csv").as_posix() for name in (member, members[0])]
        panel = matching.match_pairs(_predictions(folder, member, split), panel, *names)
    return panel[[*PAIR, *members]]


def read_panel_with_ensemble(folder: Path, members: Sequence[str], split: str) -> pd.DataFrame:
    """The panel of `folder`/members with the columns of COLUMNS from `folder`/ensemble."""
    panel = read_panel(folder / "members", members, split)
    for name, file in COLUMNS[split].items():
        path = folder / "ensemble" / f"{file}.csv"
        scores = tables.read_table(path, tables.PREDICTIONS).rename(columns={"pred_score": name})
        panel = matching.match_pairs(scores, panel, path.as_posix(), f"the members' {split}")
    return panel


def unknown_members(folder: Path, members: Sequence[str]) -> list[str]:
    """Names of folders in `folder` that are no member's: those of members since removed."""
    expected = {*members, refits.FOLDER}
    return sorted(e.name for e in folder.iterdir() if e.is_dir() and e.name not in expected)


def mark_silent(panel: pd.DataFrame, clip_ids: Container[str]) -> pd.DataFrame:
    """The panel with the column SILENT: whether the sound of a pair is among these silent clips."""
    silent = [tables.rated_clip_id(name) in clip_ids for name in panel["wav_file_name"]]
    return panel.assign(**{SILENT: np.array(silent, dtype=bool)})


def rated_scores(
    panel: pd.DataFrame,
    targets: pd.DataFrame,
    rated: pd.DataFrame,
    members: Sequence[str],
    refits: Mapping[str, pd.DataFrame] | None = None,
    silent_score: float | None = None,
) -> RatedScores:
    """The pairs to fit on, with their generators from a RATED table.

    Those that have a target after screening, less silent ones where these have a score of their
    own. `refits`: by generator, columns of members refitted without it, in the rows of the panel.
    """
    rating = _ratings(panel, targets)  # (N,)
    names = panel[PAIR].merge(rated, on=PAIR, how="left", validate="one_to_one")["model_id"]
    generators = names.astype(object).where(names.notna(), None).to_numpy(dtype=object)
    return RatedScores(
        scores=_scores(panel, members),
        rating=rating,
        texts=panel["text"].to_numpy(dtype=object),
        generators=generators,
        refits={
            name: _scores(panel.assign(**columns), members)
            for name, columns in (refits or {}).items()
        },
    ).part(_fitted_rows(panel, rating, silent_score))


def blend_panel(panel: pd.DataFrame, fitted: Ensemble) -> pd.DataFrame:
    """The ensemble's PREDICTIONS for every pair of the panel."""
    scores = ensemble.apply_ensemble(fitted, _scores(panel, fitted.members), _silent(panel))
    return panel[PAIR].assign(pred_score=scores)


def blends(
    validation: pd.DataFrame,
    test: pd.DataFrame,
    targets: pd.DataFrame,
    fitted: Ensemble,
    crossfitted: CrossFit,
) -> dict[str, pd.DataFrame]:
    """PREDICTIONS by file: both panels by the ensemble, and validation by its cross-fit.

    A pair that is in no fit gets the score of the whole ensemble there, too.
    """
    whole = blend_panel(validation, fitted)
    held_out = whole["pred_score"].to_numpy(dtype=np.float64, copy=True)
    rows = _fitted_rows(validation, _ratings(validation, targets), fitted.silent_score)
    held_out[rows] = crossfitted.scores
    return {
        "validation": whole,
        "validation_crossfitted": whole.assign(pred_score=held_out),
        "test": blend_panel(test, fitted),
    }


def write_blends(folder: Path, blended: Mapping[str, pd.DataFrame], learned: Intervals) -> None:
    """Writes the tables of `blends` and the intervals into a new folder."""
    with artifacts.atomic_folder(folder) as temporary:
        for name, predictions in blended.items():
            tables.write_table(predictions, temporary / f"{name}.csv", tables.PREDICTIONS)
        artifacts.write_json(temporary / intervals.FILE, asdict(learned), digits=FLOAT32_DIGITS)


def fit_panel_intervals(
    panel: pd.DataFrame,
    targets: pd.DataFrame,
    fitted: Ensemble,
    crossfitted: pd.DataFrame,
    coverage: float,
) -> Intervals:
    """Intervals from the `crossfitted` predictions of the pairs that have a target."""
    rating = _ratings(panel, targets)
    rated = ~np.isnan(rating)
    scores = crossfitted["pred_score"].to_numpy(dtype=np.float64)
    spread = intervals.members_spread(fitted, _scores(panel, fitted.members))
    return intervals.fit_intervals(scores[rated], spread[rated], rating[rated], coverage)


def _scores(panel: pd.DataFrame, members: Iterable[str]) -> NDArray[np.float64]:
    return panel[list(members)].to_numpy(dtype=np.float64)  # (N, K)


def _silent(panel: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether the sound of each pair is silent; no sound is where nobody marked them. (N,)"""
    marked = panel[SILENT] if SILENT in panel else np.zeros(len(panel))
    return np.asarray(marked, dtype=bool)


def _fitted_rows(
    panel: pd.DataFrame, rating: NDArray[np.float64], silent_score: float | None
) -> NDArray[np.bool_]:
    """Pairs with a rating, less those whose score is `silent_score` whatever members say. (N,)"""
    rated = ~np.isnan(rating)
    return rated if silent_score is None else rated & ~_silent(panel)


def _ratings(panel: pd.DataFrame, targets: pd.DataFrame) -> NDArray[np.float64]:
    """The mean rating of each pair of the panel, NaN where it has no target. (N,)"""
    pairs = panel[PAIR].merge(targets[[*PAIR, "mean_score"]], on=PAIR, how="left")
    if pairs["mean_score"].notna().sum() < len(targets):
        merged = targets.merge(panel[PAIR], on=PAIR, how="left", indicator=True)
        first = merged.loc[merged["_merge"] == "left_only", "wav_file_name"].iloc[0]
        raise SoundjudgeError(
            f"members have no prediction for the rated pair of {first}: run the predict stages"
        )
    return pairs["mean_score"].to_numpy(dtype=np.float64)


def _predictions(folder: Path, member: str, split: str) -> pd.DataFrame:
    path = folder / member / f"{split}.csv"
    if not path.is_file():
        raise SoundjudgeError(
            f"{path} is missing: run the predict stage of {member}, "
            f"or remove {member} from ensemble.members"
        )
    return tables.read_table(path, tables.PREDICTIONS).rename(columns={"pred_score": member})
