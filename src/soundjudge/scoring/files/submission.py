"""The challenge's format: wav_file_name,pred_score, two decimals, in the order of its list."""

from pathlib import Path

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


def write_submission(
    predictions: Path, pair_list: Path, out: Path, *, overwrite: bool = False
) -> int:
    """Writes the predictions in the list's order, reads them back, and returns their number.

    Raises SoundjudgeError for a pair that is missing, not listed, double, without a number, or off
    the scale 0 to 10, and where all scores seem to be of another scale.
    """
    with locked_output(out, [predictions, pair_list], (".csv",), overwrite=overwrite) as target:
        rows = _submission_rows(predictions, pair_list)
        with atomic_file(target) as temporary:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                delimited.write_rows(file, [HEADER, *rows])
            if delimited.read_rows(temporary) != (HEADER, rows):
                raise SoundjudgeError(f"{out} does not read back as it was written: check the disk")
    return len(rows)


def _submission_rows(predictions: Path, pair_list: Path) -> list[list[str]]:
    frame = matching.match_pairs(
        prediction_files.read_predictions(predictions),
        prediction_files.read_pair_list(pair_list),
        str(predictions),
        str(pair_list),
    )
    if frame["wav_file_name"].duplicated().any():
        name = frame.loc[frame["wav_file_name"].duplicated(), "wav_file_name"].iloc[0]
        raise SoundjudgeError(f"{pair_list} lists {name} twice: the format has one row per clip")
    outside = frame[~frame["pred_score"].between(LOWEST, HIGHEST)]
    if not outside.empty:
        raise SoundjudgeError(
            f"{predictions}: {outside['wav_file_name'].iloc[0]} has "
            f"{outside['pred_score'].iloc[0]}; {len(outside)} scores lie outside {LOWEST:g} to "
            f"{HIGHEST:g}: calibrate or clip them"
        )
    if scale := other_scale(frame["pred_score"]):
        raise SoundjudgeError(f"{predictions}: {scale}")
    return [
        [name, f"{score:.2f}"]
        for name, score in zip(frame["wav_file_name"], frame["pred_score"], strict=True)
    ]
