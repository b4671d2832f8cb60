"""The members' predictions of one split, side by side: wav_file_name, text, a column per member.

N = pairs of the split, K = members.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import ensemble, intervals, matching
from soundjudge.scoring.ensemble.ensemble import CROSSFITTED, ENSEMBLE, Ensemble, EnsembleConfig
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.ensemble.matching import PAIR

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
    return sorted(e.name for e in folder.iterdir() if e.is_dir() and e.name not in members)


def fit_panel(panel: pd.DataFrame, targets: pd.DataFrame, config: EnsembleConfig) -> Ensemble:
    """The ensemble, fitted on the pairs that have a target after screening."""
    rating = _ratings(panel, targets)  # (N,)
    rated = ~np.isnan(rating)
    return ensemble.fit_ensemble(_scores(panel, config.members)[rated], rating[rated], config)


def blend_panel(panel: pd.DataFrame, fitted: Ensemble) -> pd.DataFrame:
    """The ensemble's PREDICTIONS for every pair of the panel."""
    scores = ensemble.apply_ensemble(fitted, _scores(panel, fitted.members))
    return panel[PAIR].assign(pred_score=scores)


def crossfit_panel(
    panel: pd.DataFrame, targets: pd.DataFrame, config: EnsembleConfig
) -> pd.DataFrame:
    """PREDICTIONS, each by weights and a calibration fitted without the pair's own rating.

    A pair without a target is in no fit: it gets the score of the whole ensemble.
    """
    rating = _ratings(panel, targets)
    rated = ~np.isnan(rating)
    predictions = blend_panel(panel, fit_panel(panel, targets, config))
    held_out = predictions["pred_score"].to_numpy(dtype=np.float64, copy=True)
    held_out[rated] = ensemble.crossfit(
        _scores(panel, config.members)[rated], rating[rated], config
    )
    return predictions.assign(pred_score=held_out)


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
