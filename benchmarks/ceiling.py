"""How far the two noise ceilings lie from what the truth itself reaches (simulated).

Every condition is simulated `--runs` times: pairs, their truth, ratings by listeners with bias,
scale and noise, some ratings at random, whole points cut at 0 and 10. Writes ceiling.md.
"""

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from provenance import figures_of_commit

from soundjudge.labels.ratings import noise_ceiling
from soundjudge.reporting import metrics, resampling
from soundjudge.runtime import artifacts

PAGE = Path(__file__).with_suffix(".md")
Truth = Callable[[np.random.Generator, int], NDArray[np.float64]]
SHAPES: dict[str, Truth] = {
    "uniform": lambda rng, n: rng.uniform(0, 10, n),
    "bell: normal(5, 1.8)": lambda rng, n: np.clip(rng.normal(5, 1.8, n), 0, 10),
    "U: 10 x Beta(.5, .5)": lambda rng, n: 10 * rng.beta(0.5, 0.5, n),
    "XACLE: 10 x Beta(1.3, .5)": lambda rng, n: 10 * rng.beta(1.3, 0.5, n),
    "heaps at 2, 5, 9": lambda rng, n: rng.choice([2.0, 5.0, 9.0], n),
    ".4 at 10, else uniform": lambda rng, n: np.where(
        rng.random(n) < 0.4, 10, rng.uniform(0, 10, n)
    ),
}
# Pairs, ratings of each, noise of a listener, share of random ratings. The first three are XACLE's
# train, validation and test.
SIZES = (
    (7500, 4, 1.3, 0.05),
    (3000, 4, 1.3, 0.05),
    (3000, 8, 1.3, 0.05),
    (3000, 4, 2.6, 0.15),
    (600, 4, 1.3, 0.05),
)
EXPECTED = 400  # ratings of each pair that stand for its expected rating


@dataclass(frozen=True)
class Run:
    """One simulation: errors (2, 4) and coverage (2, 4) of both ceilings."""

    errors: NDArray[np.float64]
    covered: NDArray[np.float64]


def rate(
    truth: NDArray[np.float64], raters: int, noise: float, careless: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    shape = (len(truth), raters)
    felt = 5 + rng.normal(0, 0.9, shape) + np.exp(rng.normal(0, 0.2, shape)) * (truth[:, None] - 5)
    felt += rng.normal(0, noise, shape)
    felt = np.where(rng.random(shape) < careless, rng.uniform(-0.5, 10.5, shape), felt)
    return np.clip(np.rint(felt), 0, 10)


def simulate(shape: str, size: tuple[int, int, float, float], seed: int, resamples: int) -> Run:
    pairs, raters, noise, careless = size
    rng = np.random.default_rng([seed, list(SHAPES).index(shape), SIZES.index(size)])
    truth = SHAPES[shape](rng, pairs)
    scores = rate(truth, raters, noise, careless, rng)
    means = scores.mean(axis=1)
    expected = np.mean(
        [rate(truth, 50, noise, careless, rng).mean(axis=1) for _ in range(EXPECTED // 50)], axis=0
    )
    reached = np.array(
        [
            metrics.srcc(truth, means),
            metrics.lcc(expected, means),
            metrics.ktau(truth, means),
            metrics.mse(expected, means),
        ]
    )
    ratings = pd.DataFrame(
        {
            "wav_file_name": np.repeat([f"{p}.wav" for p in range(pairs)], raters),
            "text": "t",
            "score": scores.ravel(),
        }
    )
    blocks = resampling.resample_weights(pairs, resamples, seed=seed)
    weights = np.concatenate([*blocks]).astype(np.float64)
    both = noise_ceiling.ceiling_range(ratings, weights, seed=seed)
    errors, covered = [], []
    for ceiling, draws in (
        (both.classical, both.classical_draws),
        (both.deconvolved, both.deconvolved_draws),
    ):
        points = np.array([getattr(ceiling, name) for name in noise_ceiling.METRICS])
        errors.append(points - reached)
        low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
        covered.append((low <= reached) & (reached <= high))
    errors_array = np.array(errors)
    errors_array[:, 3] /= reached[3]  # of the floor: relative
    return Run(errors_array, np.array(covered, dtype=np.float64))


def rows(runs: int, resamples: int) -> Iterator[dict[str, object]]:
    for size in SIZES:
        for shape in SHAPES:
            results = [simulate(shape, size, seed, resamples) for seed in range(runs)]
            mean = np.mean([run.errors for run in results], axis=0)
            covered = np.mean([run.covered for run in results], axis=0)
            pairs, raters, noise, careless = size
            yield {
                "pairs x ratings": f"{pairs} x {raters}",
                "noise, careless": f"{noise}, {careless:.0%}",
                "truth": shape,
                "SRCC": " / ".join(f"{m:+.3f}" for m in mean[:, 0]),
                "LCC": " / ".join(f"{m:+.3f}" for m in mean[:, 1]),
                "KTAU": " / ".join(f"{m:+.3f}" for m in mean[:, 2]),
                "floor": " / ".join(f"{m:+.0%}" for m in mean[:, 3]),
                "SRCC covered": " / ".join(f"{c:.0%}" for c in covered[:, 0]),
                "LCC covered": " / ".join(f"{c:.0%}" for c in covered[:, 1]),
            }
            print(shape, size, np.round(mean[:, 0], 4), covered[:, 0], flush=True)


def summary(table: pd.DataFrame) -> list[str]:
    """What holds over all sizes, per kind of truth; from the rounded cells of the table."""
    lines = []
    for kind, shapes in (
        ("the truth is smooth (the first four)", list(SHAPES)[:4]),
        ("many pairs are truly equal (the last two)", list(SHAPES)[4:]),
    ):
        part = table[table["truth"].isin(shapes)]
        ranges = []
        for name in ("SRCC", "KTAU", "SRCC covered"):
            cells = np.array(
                [[float(c.rstrip("%")) for c in cell.split(" / ")] for cell in part[name]]
            )
            form = "{:.0f} to {:.0f} %" if name.endswith("covered") else "{:+.3f} to {:+.3f}"
            ends = [form.format(*pair) for pair in zip(cells.min(0), cells.max(0), strict=True)]
            ranges.append(f"{name} {ends[0]} by split halves, {ends[1]} by deconvolution")
        lines.append(f"- Where {kind}: {'; '.join(ranges)}.")
    return [*lines, "- An interval is of the pairs: it holds neither estimate's error. Read both."]


def main() -> None:
    parser = argparse.ArgumentParser(description="Noise ceilings against what the truth reaches.")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--resamples", type=int, default=100)
    arguments = parser.parse_args()
    start = time.process_time()
    table = pd.DataFrame(rows(arguments.runs, arguments.resamples))
    lines = [
        "# The noise ceiling against what the truth itself reaches (simulated)",
        "",
        figures_of_commit(),
        "",
        f"Mean error over {arguments.runs} simulations per row, split halves / deconvolution; the",
        "floor of the MSE in per cent of itself. Reached: the truth (SRCC, KTAU) or the expected",
        f"rating (LCC, MSE; {EXPECTED} ratings) against the mean rating of the same pairs.",
        f"Covered: how often the 95 % interval over pairs ({arguments.resamples} resamples) holds",
        "what is reached on those pairs. Made by `python benchmarks/ceiling.py",
        f"--runs {arguments.runs} --resamples {arguments.resamples}`",
        f"({platform.machine()}, {(time.process_time() - start) / 60:.0f} minutes of one core).",
        "",
        *summary(table),
        "",
        "| " + " | ".join(table.columns) + " |",
        "|" + "---|" * len(table.columns),
        *("| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)),
    ]
    with artifacts.atomic_file(PAGE) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
