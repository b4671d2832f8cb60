"""Speed of screening and standardization, compared with plain loops, and for very many ratings.

    python benchmarks/listener_speed.py [--ratings 3000000] [--folder DIR]

30,000 simulated ratings in memory, as many as XACLE's training split has: the loops over groups and
rows that the method's papers and challenge code are written in, in the same process, with every row
compared. With --ratings also so many synthetic ratings in Parquet files below DIR (20 bytes each,
removed in the end), which the two commands of the command line read and write, each in a process of
its own. Prints a markdown table; nothing is asserted but equality.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from soundjudge.labels.ratings import listeners, rating_arrays, screening
from soundjudge.sample.composition import simulated_listeners
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel

PAIRS, RATINGS_PER_PAIR, RATINGS_PER_LISTENER = 7_500, 4, 13  # of XACLE's training split
TOLERANCE = 5.0
BLOCK = 1 << 20  # rows written at once
T = TypeVar("T")
REPEATS = 5  # of the fast code, whose best time counts; the plain loops run once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ratings", type=int, help="in Parquet; about as many are made")
    parser.add_argument("--folder", type=Path, help="where the Parquet files lie")
    options = parser.parse_args()
    print("| what | figure |\n|---|---|")
    against_loops()
    if options.ratings:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            in_files(Path(folder), options.ratings)


def against_loops() -> None:
    ratings = simulate()
    plain, slow = time_call(
        lambda: (kept := plain_screening(ratings), plain_targets(ratings[kept]))
    )
    fast_result, fast = min(
        (time_call(lambda: whole_columns(ratings)) for _ in range(REPEATS)), key=seconds
    )
    assert plain[0] == fast_result[0].tolist(), "other ratings are kept"
    numbers = ["mean_score", "spo_score", "ratings"]
    pairs = [table[rating_arrays.PAIR].to_numpy().tolist() for table in (plain[1], fast_result[1])]
    assert pairs[0] == pairs[1], "other pairs, or in another order"
    np.testing.assert_allclose(plain[1][numbers], fast_result[1][numbers], rtol=0, atol=1e-9)
    print(f"| {len(ratings):,} ratings, plain loops | {slow:.1f} s |")
    print(f"| the same, `soundjudge.labels` | {fast * 1000:.0f} ms ({slow / fast:.0f} times) |")
    print(
        f"| rows that differ | 0 of {len(ratings):,} ratings, 0 of {len(fast_result[1]):,} pairs |"
    )


def simulate() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    panel = SimulatedPanel(
        ratings_per_pair=RATINGS_PER_PAIR,
        ratings_per_listener=RATINGS_PER_LISTENER,
        bias_sd=0.9,
        scale_sd=0.2,
        noise_sd=1.3,
        careless=0.08,
    )
    rows = simulated_listeners.simulate_ratings(10 * rng.beta(0.7, 0.7, PAIRS), panel, "l", rng)
    rng.shuffle(rows)
    frame = pd.DataFrame(rows, columns=["pair", "listener_id", "score"])
    frame["wav_file_name"] = [f"{pair:05d}.wav" for pair in frame.pop("pair")]
    frame["text"] = "what is heard in " + frame["wav_file_name"]
    return frame.astype(
        {"score": float} | dict.fromkeys([*rating_arrays.PAIR, "listener_id"], object)
    )


def whole_columns(ratings: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    kept = screening.is_confirmed(rating_arrays.rating_arrays(ratings), TOLERANCE)
    confirmed = ratings[kept]
    scales = listeners.listener_scales(confirmed, 0.0)
    return kept, listeners.build_targets(confirmed, scales.listeners, scales.overall)


def plain_screening(ratings: pd.DataFrame) -> list[bool]:
    kept = dict.fromkeys(ratings.index, False)
    for _, group in ratings.groupby("wav_file_name"):
        for index, row in group.iterrows():
            others = group.drop(index)["score"]
            kept[index] = ((others - row["score"]).abs() <= TOLERANCE).any()
    return [bool(keep) for keep in kept.values()]


def plain_targets(ratings: pd.DataFrame) -> pd.DataFrame:
    scales = {}
    for listener, group in ratings.groupby("listener_id"):
        std = group["score"].std()
        if np.isnan(std) or group["score"].nunique() == 1:
            std = 1.0
        scales[listener] = (group["score"].mean(), std)
    scores = []
    for _, row in ratings.iterrows():
        mean, std = scales[row["listener_id"]]
        scores.append((row["score"] - mean) / std)
    rows = []
    for pair, group in ratings.assign(spo_score=scores).groupby(rating_arrays.PAIR, sort=False):
        rows.append((*pair, group["score"].mean(), group["spo_score"].mean(), len(group)))
    return pd.DataFrame(rows, columns=[*rating_arrays.PAIR, "mean_score", "spo_score", "ratings"])


def time_call(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def seconds(measured: tuple[object, float]) -> float:
    return measured[1]


def in_files(folder: Path, ratings: int) -> None:
    source = folder / "ratings.parquet"
    written = write_synthetic(source, ratings // RATINGS_PER_PAIR)
    size, pairs = source.stat().st_size / 2**30, written // RATINGS_PER_PAIR
    print(f"| {written:,} ratings of {pairs:,} pairs in Parquet | {size:.1f} GiB |")
    kept, targets = folder / "kept.parquet", folder / "targets.parquet"
    commands = {
        "screen": ["screen", source, "--published", "--tolerance", TOLERANCE, "-o", kept],
        "standardize": ["standardize", kept, "--published", "-o", targets],
    }
    for name, words in commands.items():
        command = [sys.executable, "-m", "soundjudge", *(str(word) for word in words)]
        before = children()
        _, wall = time_call(partial(subprocess.run, command, check=True))
        after = children()
        worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        # The largest of all children so far: right for the first, no more than that for the second.
        peak = after.ru_maxrss / 2**20
        print(
            f"| `soundjudge {name}` of these | {wall:.0f} s, {worked:.0f} s of a processor, "
            f"at most {peak:.1f} GiB |"
        )


def children() -> resource.struct_rusage:
    return resource.getrusage(resource.RUSAGE_CHILDREN)


def write_synthetic(path: Path, pairs: int) -> int:
    """Whole points of listeners with a bias, one round of all pairs after the other, scattered.

    Returns the number of ratings. No listener is in two rounds, so nobody rates a pair twice.
    """
    rng = np.random.default_rng(0)
    quality = rng.uniform(0, 10, pairs).astype(np.float32)
    crew = -(-pairs // RATINGS_PER_LISTENER)  # listeners per round
    writer = None
    for number in range(RATINGS_PER_PAIR):
        order = rng.permutation(pairs).astype(np.int32)
        for start in range(0, pairs, BLOCK):
            pair = order[start : start + BLOCK]
            who = number * crew + (start + np.arange(len(pair))) // RATINGS_PER_LISTENER
            felt = quality[pair] + 0.9 * np.sin(who * 1.7) + rng.normal(0, 1.5, len(pair))
            columns = {
                "wav_file_name": number_names("", pair, ".wav"),
                "text": number_names("someone does thing number ", pair, " in a room nearby"),
                "listener_id": number_names("l", who, ""),
                "score": pa.array(np.clip(np.rint(felt), 0, 10).astype(np.float32)),
            }
            block = pa.table(columns)
            writer = writer or pq.ParquetWriter(path, block.schema, compression="zstd")
            writer.write_table(block)
    assert writer is not None, "there are no pairs"
    writer.close()
    return pairs * RATINGS_PER_PAIR


def number_names(before: str, numbers: np.ndarray, after: str) -> pa.Array:
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), 8, "0")
    return pc.binary_join_element_wise(before, digits, after, "")


if __name__ == "__main__":
    main()
