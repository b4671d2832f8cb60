"""At which level the clips of a prepared folder are, and which of them are silent."""

from dataclasses import asdict, dataclass
from pathlib import Path

from soundjudge import params
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

FILE = "levels.json"


@dataclass(frozen=True, kw_only=True)
class ClipLevels:
    """levels.json of a prepared folder."""

    silence_dbfs: float
    "a clip whose peak lies below is silent"
    level_dbfs: float | None
    "root mean square that every other clip was brought to; None = as it was"
    silent: tuple[str, ...]
    "clip ids"


def write_levels(prepared: Path, levels: ClipLevels) -> None:
    """Writes levels.json into the prepared folder."""
    artifacts.write_json(prepared / FILE, asdict(levels))


def read_levels(prepared: Path) -> ClipLevels:
    """levels.json of the prepared folder. Raises SoundjudgeError."""
    path = prepared / FILE
    if not path.is_file():
        raise SoundjudgeError(f"{path} does not exist: run the stage prepare")
    return params.build(ClipLevels, artifacts.read_json(path), f"{path}: ")
