"""Joins files of scores by their keys: a missing, extra or double row is an error, no smaller N.

Files that name a text for every clip are joined by clip and text, others by the clip alone.
"""

import pandas as pd

from soundjudge.errors import SoundjudgeError

CLIP, TEXT = "wav_file_name", "text"


def match_pairs(
    left: pd.DataFrame, right: pd.DataFrame, left_name: str, right_name: str
) -> pd.DataFrame:
    """The columns of both, in the order of `right`; both must hold the same pairs."""
    key = [name for name in (CLIP, TEXT) if name in left and name in right]
    for frame, name in ((left, left_name), (right, right_name)):
        again = frame.duplicated(key)
        if again.any():
            raise SoundjudgeError(
                f"{name} has {frame.loc[again, CLIP].iloc[0]} twice: a text for every row in both "
                "files would tell its pairs apart"
            )
    _refuse_strangers(right, left, key, f"{left_name} lacks", f"of {right_name}")
    _refuse_strangers(left, right, key, f"{left_name} has", f"that {right_name} lacks")
    # The text of one side is enough where they are joined by clip alone.
    spare = [name for name in left if name not in key and name in right]
    return right.merge(left.drop(columns=spare), on=key, how="left", validate="one_to_one")


def _refuse_strangers(
    frame: pd.DataFrame, others: pd.DataFrame, key: list[str], before: str, after: str
) -> None:
    known = set(others[key].itertuples(index=False, name=None))
    strange = [pair for pair in frame[key].itertuples(index=False, name=None) if pair not in known]
    if strange:
        pair = " + ".join(repr(part) for part in strange[0])
        raise SoundjudgeError(f"{before} {len(strange)} pairs {after}, the first is {pair}")
