"""A table of five pairs and their sounds, for tests of scoring."""

import csv
from pathlib import Path

import numpy as np
import soundfile

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
