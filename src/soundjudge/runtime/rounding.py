"""The precision of the numbers that stages write for people and for other stages."""

from collections.abc import Mapping

SIGNIFICANT_DIGITS = 6
"""Processors whose arithmetic agrees to 12 digits then write the same bytes, but for one number in
a million; 1e-4 rating points matter to nobody. Parquet, predictions and what a model is loaded from
are exact."""
SMALLEST_FLOAT = 1e-12  # what cancellation leaves is less, and is written as 0


def round_float(value: float) -> float:
    """`value` with SIGNIFICANT_DIGITS; NaN and infinities stay."""
    return 0.0 if abs(value) < SMALLEST_FLOAT else float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def round_floats(data: object) -> object:
    """JSON data with every float rounded; everything else stays."""
    if isinstance(data, Mapping):
        return {key: round_floats(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [round_floats(value) for value in data]
    return round_float(data) if isinstance(data, float) else data
