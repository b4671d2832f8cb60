"""Numbers of a section of params.yaml that must lie in a range: one wording for all of them."""

from math import inf

from soundjudge.errors import SoundjudgeError

LARGEST_BATCH = 1_000_000  # items that are computed at once: no device has memory for more
LARGEST_COUNT = 10_000_000  # items or steps of what one training or one corpus has


def check_range(
    section: object,
    *names: str,
    least: float = -inf,
    above: float = -inf,
    most: float = inf,
    below: float = inf,
    unit: str = "",
    or_null: bool = False,
) -> None:
    """SoundjudgeError unless these numbers lie in the range; None, where `or_null` has it, does.

    `least` and `most` belong to the range, `above` and `below` do not; `unit` follows the bounds.
    """
    for name in names:
        value = getattr(section, name)
        if or_null and value is None:
            continue
        if not (least <= value <= most and (above < value or above == -inf) and value < below):
            rule = _describe(least, above, most, below) + unit + (", or null" if or_null else "")
            raise SoundjudgeError(f"{name} is {value}: it must be {rule}")


def _describe(least: float, above: float, most: float, below: float) -> str:
    if least > -inf and most < inf:
        return f"{least} to {most}"
    lower = f"{least} or more" if least > -inf else f"above {above}" if above > -inf else ""
    upper = f"at most {most}" if most < inf else f"below {below}" if below < inf else ""
    return " and ".join(filter(None, (lower, upper)))
