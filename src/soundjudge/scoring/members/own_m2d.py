"""A CLAP that a judge stands on and must not hold: M2D-CLAP, in its user's own copy.

The member.json of a judge names it by the sha256 of its file of weights: "m2d@<sha256>".
"""

import os
from collections.abc import Iterable
from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

PREFIX = "m2d@"
ENVIRONMENT_VARIABLE = (
    "SOUNDJUDGE_M2D"  # the environment variable that says where the user's own copy lies
)


def is_reference(name: str) -> bool:
    """Whether a name in member.json stands for the user's own copy; else it is a path."""
    return name.startswith(PREFIX)


def reference_sha256(reference: str) -> str:
    """What the file of weights must have."""
    return reference.removeprefix(PREFIX)


def m2d_reference(place: Path) -> str | None:
    """What a judge's member.json says in place of the CLAP at `place`; None if it may be copied."""
    from soundjudge.clap.encoders import checkpoints, m2d_copy

    if checkpoints.checkpoint_kind(place) != "m2d":
        return None
    return PREFIX + artifacts.sha256(m2d_copy.find_checkpoint(place))


def first_m2d(places: Iterable[Path]) -> Path | None:
    """The first CLAP that no copy may hold, if there is one."""
    return next((place for place in places if m2d_reference(place)), None)


def locate_copy(reference: str, given: Path | None) -> Path:
    """The user's own copy: `given`, or what the environment variable names."""
    folder = given or os.environ.get(ENVIRONMENT_VARIABLE)
    if not folder:
        raise SoundjudgeError(
            "this judge stands on M2D-CLAP, which NTT's license does not let it carry: put "
            "portable_m2d.py and the folder of the weights (https://github.com/nttcslab/m2d), "
            f"whose checkpoint-*.pth has the sha256 {reference_sha256(reference)}, into one folder, and name "
            f"that in the environment variable {ENVIRONMENT_VARIABLE}"
        )
    return Path(folder)


def check_copy(judge: Path) -> str:
    """One sentence on the copy that a judge's folder asks for; raises what loading it would."""
    from soundjudge.clap.encoders import m2d_copy, weight_files

    said = [artifacts.read_json(path) for path in sorted(judge.glob("members/*/member.json"))]
    named = [name for values in said for name in _listed(values.get("clap", []))]
    asked = next((name for name in named if is_reference(name)), None)
    if asked is None:
        return f"{judge} needs nothing but its own folder"
    file = m2d_copy.find_checkpoint(locate_copy(asked, None))
    weight_files.check_sha256(file, reference_sha256(asked))
    return f"{judge} stands on M2D-CLAP, and {file} is the one that it asks for"


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names
