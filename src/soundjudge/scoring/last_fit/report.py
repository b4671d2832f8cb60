"""What is said of a judge of the last fit: that no honest test is left, and how far it has moved.

Members have learned every rated pair, so no number on these pairs tells how good the judge is. What
can be told without a rating is how far its scores agree with those of the selection run: a training
that went wrong, which no validation stops any more, shows there.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.reporting import metrics
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import matching, panel
from soundjudge.scoring.ensemble.ensemble import ENSEMBLE, Ensemble

SPLITS = ("validation", "test")
STATEMENT = """\
# No honest test is left

The members of this judge learned all rated pairs, for as many epochs as validation had selected
before: {pairs}. Weights, calibration and intervals are those of the selection run,
as they cannot be fitted on pairs that members have learned. So no number can tell how well this
judge agrees with listeners; the selection run, whose members learned train alone, is the evidence
for its choices.

Agreement of the two runs' scores on the {count} pairs of validation and test, without any rating:

| scores of | SRCC | mean, last minus selection | std, last / selection |
|---|---|---|---|
{rows}

A member far below the others went wrong in the last fit: look at its loss in plots/final/. What
members have learned, they spread more: a std above 1 is no fault.

# Of the selection run, not of this judge

{selection}"""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Scores of the last fit against those of the selection run."""

    srcc: float
    shift: float  # mean of the last fit minus mean of the selection run, in points
    spread: float  # standard deviation of the last fit over that of the selection run


def read_scores(folder: Path, fitted: Ensemble, silent: Container[str]) -> pd.DataFrame:
    """Validation and test: a column per member from `folder`/<member>, and the ensemble's.

    `silent`: the clips whose sound is silent.
    """
    parts = [panel.read_panel(folder, fitted.members, split) for split in SPLITS]
    frame = pd.concat(parts, ignore_index=True)
    blend = panel.blend_panel(panel.mark_silent(frame, silent), fitted)["pred_score"]
    return frame.assign(**{ENSEMBLE: blend})


def read_pair_counts(path: Path) -> dict[str, int]:
    """How many pairs of each split have a target, as final/targets.py counted them."""
    return params.build(dict[str, int], artifacts.read_json(path), f"{path}: ")


def compare_runs(last: pd.DataFrame, selection: pd.DataFrame) -> dict[str, Agreement]:
    """The agreement of each column of two tables of `read_scores`."""
    names = [str(name) for name in last if name not in matching.PAIR]
    other = selection.rename(columns={name: f"{name} selection" for name in names})
    both = matching.match_pairs(last, other, "the last fit", "the selection run")
    return {name: _agreement(name, both[name], both[f"{name} selection"]) for name in names}


def _agreement(name: str, last: "pd.Series[float]", selection: "pd.Series[float]") -> Agreement:
    try:
        srcc = metrics.srcc(last, selection)
    except SoundjudgeError as error:
        raise SoundjudgeError(
            f"scores of {name}, the last fit's against the selection run's: {error}"
        ) from error
    return Agreement(
        srcc=srcc,
        shift=float(last.mean() - selection.mean()),
        spread=float(last.std() / selection.std()),
    )


def report_text(
    last: pd.DataFrame, selection: pd.DataFrame, pairs: Mapping[str, int], evaluation: str
) -> str:
    """The report as Markdown, from two tables of `read_scores`.

    `pairs`: how many were learned, by split; `evaluation`: the report of the selection run.
    """
    rows = [
        f"| {name} | {row.srcc:.3f} | {row.shift:+.2f} | {row.spread:.2f} |"
        for name, row in compare_runs(last, selection).items()
    ]
    learned = ", ".join(f"{split} {number:,}" for split, number in pairs.items())
    return STATEMENT.format(
        pairs=learned, count=f"{len(last):,}", rows="\n".join(rows), selection=evaluation
    )
