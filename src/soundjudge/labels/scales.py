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

MIN_RATINGS = 30  # fewer say nothing about their scale
STEPS = np.arange(1.0, 5.5, 0.5)


def parse_scale(text: str) -> Scale:
    """1-5 -> (1.0, 5.0). Raises SoundjudgeError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)-([0-9]+(?:\.[0-9]+)?)", text)
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
            "bring all to that scale or remove the row"
        )
    return score if scale is None else (score - low) * (10.0 / (high - low))


def _refuse_other_scales(score: Scores, where: str) -> None:
    if len(score) < MIN_RATINGS or not np.isfinite(score).all():
        return
    low, high = float(score.min()), float(score.max())
    scale = None
    if low >= 0 and 10 < high <= 100 and low < high and np.mean(score > 10) > 0.5:
        scale = "0-100"
    elif set(STEPS[::2]) <= set(np.unique(score).tolist()) <= set(STEPS):
        scale = "1-5"
    elif low >= 0 and high <= 1 and len(np.unique(score)) > 2:
        scale = "0-1"
    if scale:
        raise SoundjudgeError(
            f"{where}: the {len(score)} scores run from {low:g} to {high:g} and look like a scale "
            f"of {scale}, not 0-10: name it with --scale (scale= in Python), 0-10 if they are on it"
        )
