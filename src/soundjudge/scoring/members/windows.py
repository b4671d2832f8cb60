"""What of a sound is scored: its windows."""

from dataclasses import dataclass
from pathlib import Path

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError
from soundjudge.ranges import LARGEST_BATCH, check_range

MIN_REMAINDER_SAMPLES = SAMPLE_RATE  # a shorter remainder of a long sound is left out


@dataclass(frozen=True, kw_only=True)
class PredictionConfig:
    """How pairs are scored; the judge inherits the window."""

    window_seconds: float
    """Longer sounds are scored in consecutive windows, averaged by length; at most that of
    features.frontend and the CLAP's own."""
    batch_size: int = 32  # windows

    def __post_init__(self) -> None:
        if self.window_seconds * SAMPLE_RATE < MIN_REMAINDER_SAMPLES:
            raise SoundjudgeError(
                f"window_seconds is {self.window_seconds}: choose 1 second or more"
            )
        check_range(self, "batch_size", least=1, most=LARGEST_BATCH)

    @property
    def window_samples(self) -> int:
        """The window in samples."""
        return round(self.window_seconds * SAMPLE_RATE)


@dataclass(frozen=True, kw_only=True)
class PredictionSection(PredictionConfig):
    """Section `predict` of params.yaml."""

    features: Path
    """data/features, which language models among the members read; data/none = they encode sounds
    themselves, and a judge without one needs no stage features"""


def split_windows(samples: int, window: int) -> list[slice]:
    """Consecutive windows of a sound; a remainder below a second is left out unless it is all."""
    cuts = [slice(start, min(start + window, samples)) for start in range(0, samples, window)]
    if len(cuts) > 1 and cuts[-1].stop - cuts[-1].start < MIN_REMAINDER_SAMPLES:
        cuts.pop()
    return cuts
