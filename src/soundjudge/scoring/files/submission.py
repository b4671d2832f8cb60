"""The challenge's format: wav_file_name,pred_score, two decimals, in the order of its list."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data.user_files import delimited
from soundjudge.data.user_files.outputs import locked_output
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.artifacts import atomic_file
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.ensemble.matching import CLIP
from soundjudge.scoring.evaluation.reference_tables import PREDICTION, other_scale
from soundjudge.scoring.files import prediction_files

HEADER = [CLIP, PREDICTION]
LOWEST, HIGHEST = 0.0, 10.0
DECIMALS = 2  # of the challenge's own systems; its rules state none


@dataclass(frozen=True, kw_only=True)
class Submission:
    """The rows of one system, and what its rounding did."""

    rows: list[list[str]]  # clip, score
    summary: str  # a line for people


def write_submission(
    predictions: Path, pair_list: Path, out: Path, *, overwrite: bool = False
) -> str:
    """Writes the predictions in the list's order, reads them back, and returns their summary.

    Raises SoundjudgeError as `submission_rows`.
    """
    with locked_output(out, [predictions, pair_list], (".csv",), overwrite=overwrite) as target:
        submission = submission_rows(predictions, pair_list)
        with atomic_file(target) as temporary:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                delimited.write_rows(file, [HEADER, *submission.rows])
            if delimited.read_rows(temporary) != (HEADER, submission.rows):
                raise SoundjudgeError(f"{out} does not read back as it was written: check the disk")
    return submission.summary


def submission_rows(predictions: Path, pair_list: Path, decimals: int = DECIMALS) -> Submission:
    """The predictions as rows in the order of the list.

    Raises SoundjudgeError for a pair that is missing, not listed, double, without a number, or off
    the scale 0 to 10, and where all scores are equal or seem to be of another scale.
    """
    frame = matching.match_pairs(
        prediction_files.read_predictions(predictions),
        prediction_files.read_pair_list(pair_list),
        str(predictions),
        str(pair_list),
    )
    if frame[CLIP].duplicated().any():
        name = frame.loc[frame[CLIP].duplicated(), CLIP].iloc[0]
        raise SoundjudgeError(f"{pair_list} lists {name} twice: the format has one row per clip")
    _check_scores(frame, predictions)
    texts = [f"{score:.{decimals}f}" for score in frame[PREDICTION]]
    if len(texts) > 1 and len(set(texts)) == 1:
        raise SoundjudgeError(
            f"{predictions}: with {decimals} decimals all {len(texts)} scores are {texts[0]}, a "
            "constant: calibrate them, or give submission more --decimals"
        )
    return Submission(
        rows=[[name, text] for name, text in zip(frame[CLIP], texts, strict=True)],
        summary=_summarize(frame[PREDICTION], texts),
    )


def _check_scores(frame: pd.DataFrame, predictions: Path) -> None:
    scores = frame[PREDICTION]
    outside = frame[~scores.between(LOWEST, HIGHEST)]
    # Cosines, too, lie in part outside of the scale: what they are is said first.
    if scale := other_scale(scores):
        raise SoundjudgeError(f"{predictions}: {scale}")
    if not outside.empty:
        raise SoundjudgeError(
            f"{predictions}: {outside[CLIP].iloc[0]} has {outside[PREDICTION].iloc[0]}; "
            f"{len(outside)} scores lie outside {LOWEST:g} to {HIGHEST:g}: calibrate or clip them"
        )
    if len(scores) > 1 and scores.nunique() == 1:
        raise SoundjudgeError(
            f"{predictions}: all {len(scores)} scores are {scores.iloc[0]}: a constant has no "
            "correlation, submit another system"
        )


def _summarize(scores: "pd.Series[float]", texts: list[str]) -> str:
    """Rows, range, and the ties that rounding made."""
    before, after = scores.nunique(), len(set(texts))
    ties = f"; rounding ties {before - after} of {before} distinct scores" if after < before else ""
    return f"{len(scores)} rows, {min(texts, key=float)} to {max(texts, key=float)}{ties}"
