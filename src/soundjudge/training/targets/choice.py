"""The target that a training learns: the one that params name, or that of the study."""

from pathlib import Path
from typing import Literal, TypeAlias, get_args

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

Score: TypeAlias = Literal["mean", "spo", "latent"]
Target: TypeAlias = Literal["mean", "spo", "latent", "auto"]

CHOICE = "choice.json"  # of stage standardize, beside the targets


def resolve_target(target: Target, folder: Path) -> Score:
    """The target that `auto` stands for in a folder of targets; any other stands for itself."""
    if target != "auto":
        return target
    path = folder / CHOICE
    if not path.is_file():
        raise SoundjudgeError(
            f"a training has the target auto, and {path} does not exist: set standardize.target to "
            "auto, too, or name mean, spo or latent"
        )
    values = artifacts.read_json_object(path)
    if values.get("target") not in get_args(Score):
        raise SoundjudgeError(f"{path} names no target: run the stage standardize again")
    chosen: Score = values["target"]
    return chosen
