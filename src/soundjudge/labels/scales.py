"""The scale that ratings are on: ours runs from 0 to 10.

N = ratings.
"""

import re
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from soundjudge.errors import SoundjudgeError

Scale: TypeAlias = tuple[float, float]  # lowest and highest rating
Scores: TypeAlias = NDArray[np.floating[Any]]

# So many ratings, if all lie within a narrower scale, hardly are on 0-10.
MIN_RATINGS, MIN_OF_SEVEN = 10, 100
HALF_STEPS = np.arange(1.0, 5.5, 0.5)
NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?)"


def parse_scale(text: str) -> Scale:
    """1-5, 1:5 or "1 5" -> (1.0, 5.0). Raises SoundjudgeError."""
    match = re.fullmatch(f"{NUMBER}[-: ]{NUMBER}", text)
    if not match or float(match[1]) >= float(match[2]):
        raise SoundjudgeError(f"the scale {text!r} is not like 1-5: its lowest and highest rating")
    return float(match[1]), float(match[2])


def to_ten(score: Scores, scale: Scale | None, where: str) -> Scores:
    """Ratings (N,) from `scale` to 0-10; with None they must be, and look, as if on 0-10.

    Raises SoundjudgeError.
    """
    if scale is None:
        _refuse_other_scales(score, where)
    low, high = scale or (0.0, 10.0)
    bad = ~((score >= low) & (score <= high))
    if bad.any():
        row = int(bad.argmax())
        count = f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""
        raise SoundjudgeError(
            f"{where}, row {row + 1}: score {score[row]} lies outside {low:g} to {high:g}{count}: "
            "bring all to that scale, name another by --scale (scale= in Python), or remove the row"
        )
    return score if scale is None else (score - low) * (10.0 / (high - low))


def _refuse_other_scales(score: Scores, where: str) -> None:
    if len(score) < MIN_RATINGS or not np.isfinite(score).all():
        return
    low, high = float(score.min()), float(score.max())
    levels = np.unique(score)
    scale = None
    if low >= 0 and 10 < high <= 100 and low < high and np.mean(score > 10) > 0.1:
        scale = "0-100"  # MUSHRA's, too
    elif low >= 1 and high <= 5 and np.isin(levels, HALF_STEPS).all() and len(levels) > 2:
        scale = "1-5"
    elif levels.tolist() == list(range(1, 8)) and len(score) >= MIN_OF_SEVEN:
        scale = "1-7"
    elif low >= 0 and high <= 1 and len(levels) > 2:
        scale = "0-1"
    if scale:
        raise SoundjudgeError(
            f"{where}: the {len(score)} scores run from {low:g} to {high:g} and look like a scale "
            f"of {scale}, not 0-10: name it with --scale (scale= in Python), 0-10 if they are on it"
        )
