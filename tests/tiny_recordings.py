"""Synthetic recordings for the tests of the sample: tones with captions, some short, some long."""

import numpy as np
from repository import ROOT

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.sample.composition import scenes
from soundjudge.sample.composition.scenes import Recording
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel

CLIPS = ROOT / "data" / "sample" / "clips"
LABELS = ("dog", "owl", "rain", "car", "bell", "door", "horse", "ship")
SHORT, LONG = 0.5, 3.0  # seconds; only the short ones can be counted
PANEL = SimulatedPanel(
    ratings_per_pair=4,
    ratings_per_listener=8,
    bias_sd=0.9,
    scale_sd=0.2,
    noise_sd=1.3,
    careless=0.08,
)


def recording(label: str, take: int = 1, seconds: float = SHORT, hertz: float = 440.0) -> Recording:
    """'A dog sounds once' is the first take of a dog; every take has a group of its own."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return Recording(
        clip_id=f"{label}{take}",
        caption=f"A {label} sounds as take {take}",
        label=label,
        group=f"{label}/{take}",
        wave=(0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32),
    )


def pool(takes: int = 2) -> list[Recording]:
    """Recordings of eight labels, `takes` of each, in turn short and long."""
    return [
        recording(label, take, (SHORT, LONG)[(number + take) % 2], 200.0 + 50.0 * number)
        for number, label in enumerate(LABELS)
        for take in range(1, takes + 1)
    ]


def real(number: int) -> list[Recording]:
    """`number` of the sample's own recordings, of different labels."""
    by_label = {recording.label: recording for recording in scenes.load_recordings(CLIPS)}
    return list(by_label.values())[:number]
