"""How far a packaged judge's scores in bf16 lie from those in fp32, on pairs of the sample.

    python benchmarks/bf16_scores.py [JUDGE] [--pairs 60] [--device cpu]

The pairs are the first of the sample's test split. Prints a line; nothing is asserted.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from soundjudge import Judge
from soundjudge.labels.ratings.rating_arrays import PAIR

SAMPLE = Path("data/sample/xacle")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", nargs="?", default="checkpoints/judge")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()

    table = pd.read_csv(SAMPLE / "meta_data/test.csv", dtype=str)[PAIR].drop_duplicates()
    pairs = table.head(options.pairs)
    sounds = [SAMPLE / "wav/test" / name for name in pairs["wav_file_name"]]
    scores, seconds = {}, {}
    for precision in ("fp32", "bf16"):
        judge = Judge.from_pretrained(options.judge, options.device, precision=precision)
        begun = time.perf_counter()
        scores[precision] = np.array(judge.score_pairs(sounds, pairs["text"]))
        seconds[precision] = time.perf_counter() - begun
    apart = np.abs(scores["bf16"] - scores["fp32"])
    print(
        f"{judge.score_id} on {judge.device}, {len(pairs)} pairs: {apart.mean():.3f} points apart "
        f"on average, {apart.max():.3f} at most, SRCC of both "
        f"{stats.spearmanr(scores['fp32'], scores['bf16']).statistic:.4f}; "
        f"{seconds['fp32']:.1f} s in fp32, {seconds['bf16']:.1f} s in bf16"
    )


if __name__ == "__main__":
    main()
