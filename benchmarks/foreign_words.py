"""Do texts in words that no caption had tell sounds apart? Recordings with labels as texts.

Every recording of the sample is scored with "the sound of <its label>" and with the label of
another recording. The encoders know the recordings, and their captions never had these texts.

    python benchmarks/foreign_words.py
    python benchmarks/foreign_words.py --model checkpoints/judge
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge import Judge

CLIPS = Path(__file__).resolve().parents[1] / "data/sample/clips"
DRAWS = 2000  # resamples of the recordings
Floats = NDArray[np.float64]


def read_pairs() -> tuple[list[Path], list[str], list[str]]:
    """Recordings, their own labels as texts, and labels of others: N each."""
    table = pd.read_csv(CLIPS / "manifest.csv")
    labels = table["label"].to_numpy()
    order = np.random.default_rng(0).permutation(len(labels))
    for row in np.flatnonzero(labels[order] == labels):
        other = np.flatnonzero((labels != labels[row]) & (labels[order[row]] != labels))[0]
        order[row], order[other] = order[other], order[row]
    assert (labels[order] != labels).all()
    texts = [f"the sound of {label.replace('_', ' ')}" for label in labels]
    sounds = [CLIPS / "ogg" / f"{clip}.ogg" for clip in table["clip_id"]]
    return sounds, texts, [texts[row] for row in order]


def row(name: str, own: Floats, other: Floats) -> str:
    """A row of the table: how often `own` (N,) is above `other` (N,), ties half."""
    wins = (own > other) + 0.5 * (own == other)
    rng = np.random.default_rng(0)
    draws = wins[rng.integers(len(wins), size=(DRAWS, len(wins)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    _, counts = np.unique(np.round(np.concatenate([own, other]), 3), return_counts=True)
    share = counts.max() / counts.sum()
    return f"| {name} | {wins.mean():.3f} [{low:.3f}, {high:.3f}] | {share:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="checkpoints/judge")
    judge = Judge.from_pretrained(parser.parse_args().model)
    sounds, own, other = read_pairs()
    matched = judge.score_pairs(sounds, own, details=True)
    mismatched = judge.score_pairs(sounds, other, details=True)
    print(f"{judge.score_id}, {len(sounds)} recordings\n")
    print("| | matched above mismatched | share of the most frequent score |\n|---|---|---|")
    for name in matched[0].members:
        columns = ([pair.members[name] for pair in pairs] for pairs in (matched, mismatched))
        print(row(name, *map(np.array, columns)))
    print(row("judge", *(np.array([pair.value for pair in p]) for p in (matched, mismatched))))


if __name__ == "__main__":
    main()
