"""What judges of one published model share."""

from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble


def identity_ensemble(member: str) -> Ensemble:
    """Weight 1, no shift, no stretch: the score of the member, clipped to 0..10."""
    return Ensemble(
        members=(member,),
        mean=(0.0,),
        std=(1.0,),
        weights=(1.0,),
        calibration=Calibration(method="linear", scores=(0.0, 10.0), ratings=(0.0, 10.0)),
    )


def check_new_folder(out: Path) -> None:
    """Raises SoundjudgeError unless `out` is absent or an empty folder."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SoundjudgeError(f"{out} exists already: name another folder, or delete it.")
