"""The scale of the ratings, by which standardized targets become ratings again."""

from dataclasses import dataclass
from pathlib import Path

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

SCALE = "global.json"  # of stage standardize, beside the targets


@dataclass(frozen=True, kw_only=True)
class TargetScale:
    """Mean and standard deviation of an unknown listener, in rating points."""

    mean: float
    std: float

    def __post_init__(self) -> None:
        if self.std <= 0:
            raise SoundjudgeError(f"std is {self.std}: it must be above 0")


def read_scale(folder: Path) -> TargetScale:
    """The scale of a folder of targets. Raises SoundjudgeError."""
    path = folder / SCALE
    return params.build(TargetScale, artifacts.read_json(path), f"{path}: ")
