"""A table of five pairs and their sounds, for tests of scoring."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from optional_packages import soundfile

from soundjudge.data.audio.audio import Sound
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.judge.pair_score import PairScore, Window

NAMES = ["a.wav", "b.wav", "c.wav", "d.wav", "e.wav"]


def write_sounds(folder: Path) -> Path:
    """Sounds of 0.1 to 0.5 s."""
    folder.mkdir()
    for number, name in enumerate(NAMES, start=1):
        noise = np.random.default_rng(number).normal(size=1600 * number)
        soundfile.write(folder / name, 0.1 * noise, 16_000)
    return folder


def write_table(path: Path) -> Path:
    """One row per sound, with a further column and texts that need quotes."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "wav_file_name", "text"])
        writer.writerows([f"00{n}", name, f'dog, "{n}"\nline'] for n, name in enumerate(NAMES))
    return path


def spoil(sounds: Path) -> None:
    """Makes the third sound undecodable and removes the fifth."""
    (sounds / "c.wav").write_bytes(b"no sound")
    (sounds / "e.wav").unlink()


def read_cells(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


class LengthJudge:
    """A judge whose score is a sound's length in units of 0.1 s; it can be killed."""

    members = {"length": None}
    intervals = Intervals(coverage=0.9, floor=1.0, slope=0.0, quantile=0.5, difference=1.0)

    def __init__(self, dies_after: int = 1000) -> None:
        self.scored, self.dies_after = 0, dies_after

    def score_sounds(
        self, sounds: Sequence[Sound], texts: Sequence[str], batch_size: int
    ) -> list[PairScore]:
        self.scored += len(sounds)
        if self.scored > self.dies_after:
            raise KeyboardInterrupt
        return [self.pair(len(sound.wave) / 1600) for sound in sounds]

    def pair(self, value: float) -> PairScore:
        return PairScore(
            value=value,
            members={"length": value},
            spread=0.25,
            windows=(Window(start=0.0, end=value / 10, value=value),),
            interval=(value - 0.5, value + 0.5),
            flags=("short",) if value < 2 else (),
        )
