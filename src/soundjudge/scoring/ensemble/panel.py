"""The members' predictions of one split, side by side: wav_file_name, text, a column per member.

N = pairs of the split, K = members.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import ensemble, matching
from soundjudge.scoring.ensemble.crossfit import CrossFit
from soundjudge.scoring.ensemble.ensemble import CROSSFITTED, ENSEMBLE, Ensemble
from soundjudge.scoring.ensemble.folds import RatedScores
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


def rated_scores(
    panel: pd.DataFrame,
    targets: pd.DataFrame,
    rated: pd.DataFrame,
    members: Sequence[str],
    refits: Mapping[str, pd.DataFrame] | None = None,
) -> RatedScores:
    """The pairs that have a target after screening, with their generators from a RATED table.

    `refits`: by generator, columns of members refitted without it, in the rows of the panel.
    """
    rating = _ratings(panel, targets)  # (N,)
    known = ~np.isnan(rating)
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
    ).part(known)


def blend_panel(panel: pd.DataFrame, fitted: Ensemble) -> pd.DataFrame:
    """The ensemble's PREDICTIONS for every pair of the panel."""
    scores = ensemble.apply_ensemble(fitted, _scores(panel, fitted.members))
    return panel[PAIR].assign(pred_score=scores)


def blends(
    validation: pd.DataFrame,
    test: pd.DataFrame,
    targets: pd.DataFrame,
    fitted: Ensemble,
    crossfitted: CrossFit,
) -> dict[str, pd.DataFrame]:
    """PREDICTIONS by file: both panels by the ensemble, and validation by its cross-fit.

    A pair without a target is in no fit: it gets the score of the whole ensemble there, too.
    """
    whole = blend_panel(validation, fitted)
    held_out = whole["pred_score"].to_numpy(dtype=np.float64, copy=True)
    held_out[~np.isnan(_ratings(validation, targets))] = crossfitted.scores
    return {
        "validation": whole,
        "validation_crossfitted": whole.assign(pred_score=held_out),
        "test": blend_panel(test, fitted),
    }


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
