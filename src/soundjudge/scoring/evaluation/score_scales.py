"""Whether predictions and mean ratings are on 0 to 10: their squared errors mean nothing otherwise.

No scale is guessed and nothing is converted: a sentence tells the ranges and the remedy.
"""

from typing import TypeAlias

import pandas as pd

from soundjudge.scoring.evaluation.reference_tables import PREDICTION, SCALE

Numbers: TypeAlias = "pd.Series[float]"

FAR = 20.0  # beyond it predictions are on a scale such as 0 to 100
UNIT = 1.0  # predictions that all lie within +-UNIT are cosines or shares, not ratings
SHARES, FIVE = (0.0, UNIT), (1.0, 5.0)
MIN_OF_FIVE = 20  # so many mean ratings, all in SHARES or in FIVE, hardly are on 0-10
BEYOND = 0.1  # share of the others above 5 that makes one doubt numbers of which none is


def scale_remark(predictions: Numbers, mean: Numbers) -> str | None:
    """A sentence where predictions or mean ratings seem to be on another scale than 0 to 10."""
    return prediction_remark(predictions, mean) or reference_remark(predictions, mean)


def prediction_remark(predictions: Numbers, mean: Numbers) -> str | None:
    """The sentence on the predictions."""
    sentence = other_scale(predictions)
    if sentence is None and _keep_below(predictions, mean):
        low = FIVE[0] if predictions.min() >= FIVE[0] else 0.0
        sentence = _narrow(PREDICTION, predictions, (low, FIVE[1]))
    return None if sentence is None else f"{sentence}; {_ranges(predictions, mean)}"


def reference_remark(predictions: Numbers, mean: Numbers) -> str | None:
    """The sentence on the mean ratings; no error: their ranks are right."""
    scales = [scale for scale in (SHARES, FIVE) if mean.between(*scale).all()]
    if _keep_below(mean, predictions):
        scales.append((0.0, FIVE[1]))
    if not scales or len(mean) < MIN_OF_FIVE:
        return None
    low, high = scales[0]
    sentence = _narrow("mean ratings", mean, (low, high))
    remedy = f"as `soundjudge standardize --scale {low:g}-{high:g}` does with ratings"
    return f"{sentence}, {remedy}; {_ranges(predictions, mean)}"


def other_scale(predictions: Numbers) -> str | None:
    """A sentence where predictions cannot be on 0 to 10, as far as they tell by themselves."""
    if predictions.abs().max() <= UNIT:
        return f"all {PREDICTION} lie within {-UNIT:g} to {UNIT:g}: calibrate them to 0 to 10"
    if predictions.abs().max() > FAR:
        return f"{PREDICTION} runs to {predictions.abs().max():g}: calibrate them to 0 to 10"
    outside = int((~predictions.between(*SCALE)).sum())
    if 2 * outside >= len(predictions):
        return (
            f"{outside} of {len(predictions)} {PREDICTION} lie outside {SCALE[0]:g} to "
            f"{SCALE[1]:g}: calibrate them to that scale"
        )
    return None


def _keep_below(values: Numbers, others: Numbers) -> bool:
    """Whether values keep within 0 to 5 where many of the others do not."""
    within = len(values) >= MIN_OF_FIVE and bool(values.between(0, FIVE[1]).all())
    return within and float((others > FIVE[1]).mean()) >= BEYOND


def _narrow(name: str, values: Numbers, scale: tuple[float, float]) -> str:
    low, high = scale
    shift = f"subtract {low:g} and " if low else ""
    return (
        f"all {len(values)} {name} lie within {low:g} to {high:g}: if that is their scale, {shift}"
        f"multiply by {SCALE[1] / (high - low):g}, which brings them to {SCALE[0]:g} to "
        f"{SCALE[1]:g}"
    )


def _ranges(predictions: Numbers, mean: Numbers) -> str:
    ranges = [f"{values.min():.4g} to {values.max():.4g}" for values in (predictions, mean)]
    return (
        f"{PREDICTION} runs from {ranges[0]} and the mean ratings from {ranges[1]}; srcc, lcc and "
        "ktau do not depend on the scale, mse and bias do"
    )
