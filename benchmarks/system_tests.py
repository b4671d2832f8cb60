"""Whether a report's intervals hold and its tests keep their level (simulated). Writes a page.

Two systems that are equally good, on few prompts or many. Intervals of the mean difference: the
percentile bootstrap, as it is and expanded (what a report shows). Tests at .05: the share of
resamples that reverse the sign, and sign flips (what a report shows).
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from provenance import figures_of_commit

from soundjudge.reporting import resampling
from soundjudge.runtime import artifacts
from soundjudge.scoring.evaluation import significance
from soundjudge.scoring.systems import system_statistics

PAGE = Path(__file__).with_suffix(".md")
PROMPTS = (6, 10, 20, 50, 200)
RESAMPLES = 2000


def differences(kind: str, prompts: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Of two systems with the same mean, prompt by prompt."""
    if kind == "normal":
        return rng.normal(size=prompts)
    first, second = np.clip(rng.normal(8, 3, (2, prompts)), 0, 10)  # many at the end of the scale
    return first - second


def row(kind: str, prompts: int, runs: int) -> list[float]:
    """Shares of the runs: intervals that hold 0, plain and expanded; p below .05, of both tests."""
    counts = np.zeros(4)
    for run in range(runs):
        values = differences(kind, prompts, np.random.default_rng([run, prompts, len(kind)]))
        blocks = resampling.resample_weights(prompts, RESAMPLES, seed=run)
        weights = np.concatenate(list(blocks)).T.astype(np.float64)
        draws = resampling.weighted_means(values[:, None], weights)[:, 0]
        for column, level in enumerate((0.95, system_statistics.expanded_confidence(prompts))):
            low, high = resampling.interval(draws, level)
            counts[column] += low <= 0 <= high
        counts[2] += significance.p_value(draws) < 0.05
        counts[3] += system_statistics.sign_flip_p(values, run) < 0.05
    return list(counts / runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    lines = [
        "# Intervals and tests of a report: whether they hold",
        "",
        figures_of_commit(),
        "",
        f"Everything is simulated. Made by `python benchmarks/system_tests.py --runs {runs}`:",
        f"{runs} comparisons per row of two systems with the same mean, {RESAMPLES} resamples. Two",
        f"standard errors of a share of .95 or .05 are {2 * (0.95 * 0.05 / runs) ** 0.5:.3f}. A",
        "report shows expanded intervals and sign flips. Clipped: scores of mean 8 and standard",
        "deviation 3, cut at 0 and 10.",
        "",
        "| differences | prompts | percentile interval holds 0 | expanded interval "
        "| bootstrap p < .05 | sign flips p < .05 |",
        "|---|---|---|---|---|---|",
    ]
    for kind in ("normal", "clipped"):
        for prompts in PROMPTS:
            cells = [f"{share:.3f}" for share in row(kind, prompts, runs)]
            lines.append(f"| {kind} | {prompts} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    with artifacts.atomic_file(PAGE) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
