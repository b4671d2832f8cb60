"""How fast a packaged judge scores: one sound from cold, and a table against real time.

    python benchmarks/scoring.py [JUDGE] [--pairs 240]

The plain way, pair by pair, runs in the same process and on the same pairs, so that the ratio means
something. Prints a markdown table; nothing is asserted.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from soundjudge import Judge
from soundjudge.data.audio import audio
from soundjudge.data.tables import tables
from soundjudge.data.tables.tables import SAMPLE_RATE

SAMPLE = Path("data/sample/xacle")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", nargs="?", default="checkpoints/judge")
    parser.add_argument("--pairs", type=int, default=240)
    options = parser.parse_args()

    averages = SAMPLE / "meta_data" / "validation_average.csv"
    pairs = tables.read_table(averages, tables.RATED.without("split", "model_id"), extra=True)
    pairs = pairs.head(options.pairs)
    sounds = [SAMPLE / "wav" / "validation" / name for name in pairs["wav_file_name"]]
    texts = list(pairs["text"])
    seconds = sum(len(audio.read_audio(sound)) for sound in sounds) / SAMPLE_RATE

    command = [sys.executable, "-m", "soundjudge", "score", str(sounds[0]), texts[0]]
    start = time.perf_counter()
    subprocess.run([*command, "--model", options.judge], check=True, capture_output=True)
    cold = time.perf_counter() - start

    judge = Judge.from_pretrained(options.judge)
    judge.score(sounds[0], texts[0])
    start = time.perf_counter()
    batched = judge.score_pairs(sounds, texts, batch_size=32)
    together = time.perf_counter() - start
    start = time.perf_counter()
    alone = [judge.score(sound, text) for sound, text in zip(sounds, texts, strict=True)]
    one_by_one = time.perf_counter() - start

    gap = float(np.abs(np.array(batched) - np.array(alone)).max())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print("| what | figure |\n|---|---|")
    print(f"| `soundjudge score`, cold | {cold:.1f} s |")
    print(f"| {len(texts)} pairs, {seconds:.0f} s of sound, batch 32 | {together:.1f} s |")
    print(f"| times real time | {seconds / together:.0f} |")
    print(f"| the same one by one | {one_by_one:.1f} s ({one_by_one / together:.1f} times) |")
    print(f"| largest difference between the two | {gap:.1e} points |")
    print(f"| peak memory | {peak:.1f} GiB |")


if __name__ == "__main__":
    main()
