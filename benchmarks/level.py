"""What a packaged judge makes of silence, of faint noise, and of one sound at several levels.

    python benchmarks/level.py [JUDGE] [--sounds 10]

The sounds are the first of the sample's test split, with their own texts; silence and noise have
each of these texts. Prints a markdown table; nothing is asserted.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge import Judge
from soundjudge.data.audio import audio
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.labels.ratings.rating_arrays import PAIR

SAMPLE = Path("data/sample/xacle")
SECONDS = 8
NOISE_DBFS = (-80, -60, -40, -20)  # root mean square
CHANGES_DB = (-6, -20, -40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", nargs="?", default="checkpoints/judge")
    parser.add_argument("--sounds", type=int, default=10)
    options = parser.parse_args()

    judge = Judge.from_pretrained(options.judge)
    pairs = pd.read_csv(SAMPLE / "meta_data/test.csv", dtype=str)[PAIR].drop_duplicates()
    pairs = pairs.drop_duplicates("wav_file_name").head(options.sounds)
    texts = ["a dog barks", *pairs["text"]]

    print(f'{judge.score_id}\n\n| sound | "a dog barks" | mean over {len(texts)} texts |')
    print("|---|---|---|")
    print(row("digital silence", judge, np.zeros(SECONDS * SAMPLE_RATE), texts))
    for level in NOISE_DBFS:
        print(row(f"white noise, {level} dBFS", judge, white_noise(level), texts))

    waves = [audio.read_audio(SAMPLE / "wav" / "test" / name) for name in pairs["wav_file_name"]]
    full = judge_scores(judge, waves, texts[1:])
    print(f"\n| {len(waves)} test sounds | mean absolute change | largest |\n|---|---|---|")
    for change in CHANGES_DB:
        quieter = [wave * np.float32(10.0 ** (change / 20)) for wave in waves]
        gap = np.abs(judge_scores(judge, quieter, texts[1:]) - full)
        print(f"| {change} dB | {gap.mean():.2f} | {gap.max():.2f} |")


def white_noise(level: float) -> NDArray[np.float64]:
    """Of this root mean square, in dBFS."""
    noise = np.random.default_rng(0).normal(size=SECONDS * SAMPLE_RATE)
    return noise * 10.0 ** (level / 20)


def row(name: str, judge: Judge, wave: NDArray[np.float64], texts: list[str]) -> str:
    """A sound's score with the first text and the mean over all, as a row of the table."""
    scores = judge_scores(judge, [wave.astype(np.float32)] * len(texts), texts)
    return f"| {name} | {scores[0]:.1f} | {scores.mean():.1f} |"


def judge_scores(
    judge: Judge, waves: list[NDArray[np.float32]], texts: list[str]
) -> NDArray[np.float64]:
    sounds = [(wave, SAMPLE_RATE) for wave in waves]
    return np.array(judge.score_pairs(sounds, texts))


if __name__ == "__main__":
    main()
