"""The precision of the numbers that stages write: two processors write the same bytes.

Libraries choose their instructions by the processor, and the last of 16 digits differs.
"""

from collections.abc import Mapping

SIGNIFICANT_DIGITS = 6
"""Processors whose arithmetic agrees to 12 digits then write the same bytes, but for one number in
a million; 1e-4 rating points matter to nobody."""
FLOAT32_DIGITS = 9
"""Of predictions and of what is fitted to them: two different numbers of 32 bits stay different,
and one number in a thousand million depends on the processor."""
FLOAT_FORMAT = f"%.{SIGNIFICANT_DIGITS}g"  # of a CSV that pandas writes
SMALLEST_FLOAT = 1e-12  # what cancellation leaves is less, and is written as 0


def round_float(value: float, digits: int = SIGNIFICANT_DIGITS) -> float:
    """`value` with so many significant digits; NaN and infinities stay."""
    return 0.0 if abs(value) < SMALLEST_FLOAT else float(f"{value:.{digits}g}")


def round_floats(data: object, digits: int = SIGNIFICANT_DIGITS) -> object:
    """JSON data with every float rounded; everything else stays."""
    if isinstance(data, Mapping):
        return {key: round_floats(value, digits) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [round_floats(value, digits) for value in data]
    return round_float(data, digits) if isinstance(data, float) else data
