"""Predictions in the challenge's format: wav_file_name,pred_score, two decimals, as listed."""

import csv
from pathlib import Path

from soundjudge.data.user_files import delimited
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.artifacts import atomic_file
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.files import prediction_files

HEADER = ["wav_file_name", "pred_score"]
LOWEST, HIGHEST = 0.0, 10.0


def write_submission(predictions: Path, listed: Path, out: Path) -> int:
    """Writes the predictions in the list's order, reads them back, and returns their number.

    Raises if a pair is missing, unasked for, double, without a number, or off the 0-10 scale.
    """
    wanted = prediction_files.read_pair_list(listed)
    frame = matching.match_pairs(
        prediction_files.read_predictions(predictions), wanted, str(predictions), str(listed)
    )
    if frame["wav_file_name"].duplicated().any():
        name = frame.loc[frame["wav_file_name"].duplicated(), "wav_file_name"].iloc[0]
        raise SoundjudgeError(f"{listed} asks for {name} twice: the format has one row a clip")
    off = frame[~frame["pred_score"].between(LOWEST, HIGHEST)]
    if not off.empty:
        raise SoundjudgeError(
            f"{predictions}: {off['wav_file_name'].iloc[0]} has {off['pred_score'].iloc[0]}, "
            f"{len(off)} scores lie outside {LOWEST:g} to {HIGHEST:g}: calibrate or clip them"
        )
    rows = [
        [name, f"{score:.2f}"]
        for name, score in zip(frame["wav_file_name"], frame["pred_score"], strict=True)
    ]
    with atomic_file(out) as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
        if delimited.read_rows(temporary) != (HEADER, rows):
            raise SoundjudgeError(f"{out} does not read back as it was written")
    return len(rows)
