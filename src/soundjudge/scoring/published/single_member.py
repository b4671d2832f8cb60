"""What judges of one published model share."""

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
