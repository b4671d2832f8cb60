"""How long intervals take, and how often they hold (simulated). Writes intervals.md.

Speed: 10,000 resamples of 3,000 pairs by `significance.bootstrap`, by the same draws with ranks
of every resample (how it was computed before), and by scipy; memory at 105,000 pairs. Coverage: of
the four metrics, with pairs that share texts or generators; false positives of the paired tests;
the latent standard error.
"""

import argparse
import itertools
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import listener_recovery
import numpy as np
import pandas as pd
from listener_recovery import SPREADS, Condition, Manner, grid, simulate
from numpy.typing import NDArray
from provenance import figures_of_commit
from recovery_tables import markdown
from scipy import stats

from soundjudge.labels.ratings import latent, rating_arrays
from soundjudge.labels.ratings.config import LatentConfig
from soundjudge.labels.ratings.latent import LatentEstimate
from soundjudge.labels.ratings.rating_arrays import RatingArrays
from soundjudge.reporting import resampling
from soundjudge.runtime import artifacts
from soundjudge.scoring.evaluation import significance, systems
from soundjudge.scoring.evaluation.systems import EvaluationConfig

PAGE = Path(__file__).with_suffix(".md")
Values = NDArray[np.float64]
METRICS = systems.METRICS
LARGE = 105_000
# Of a beta distribution; the first is that of XACLE's mean ratings.
TRUTHS = {"at the top": (1.3, 0.5), "at both ends": (0.5, 0.5), "even": (1.0, 1.0)}
TRUTHS |= {"in the middle": (4.0, 4.0)}


def before(prediction: Values, reference: Values, resamples: int) -> tuple[Values, Values]:
    """SRCC and LCC of the draws of seed 0 by whole blocks (256, N), as it was computed before."""
    pairs, srcc, lcc = len(reference), [], []
    rng = np.random.default_rng(0)
    x, y = ((v - v.mean()) / np.ptp(v) for v in (prediction, reference))
    for start in range(0, resamples, 256):
        size = min(256, resamples - start)
        weights = rng.multinomial(pairs, np.full(pairs, 1 / pairs), size=size).astype(np.float64)
        srcc.append(_correlation(_ranks(x, weights), _ranks(y, weights), weights))
        lcc.append(_correlation(x[None], y[None], weights))
    return np.concatenate(srcc), np.concatenate(lcc)


def _ranks(values: Values, weights: Values) -> Values:
    group = np.unique(values, return_inverse=True)[1]
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    in_group = np.add.reduceat(weights[:, order], starts, axis=1)
    return (np.cumsum(in_group, axis=1) - (in_group - 1) / 2)[:, group]


def _correlation(x: Values, y: Values, weights: Values) -> Values:
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    spread = (weights * x**2).sum(axis=1) * (weights * y**2).sum(axis=1)
    return (weights * x * y).sum(axis=1) / np.sqrt(spread)


def pairs_of(count: int, rho: float, rng: np.random.Generator) -> tuple[Values, Values]:
    reference = rng.normal(size=count)
    return rho * reference + (1 - rho**2) ** 0.5 * rng.normal(size=count), reference


def speed(repeats: int) -> list[str]:
    """Processor seconds, in turns, the median of `repeats`; equality on the same draws."""
    prediction, reference = pairs_of(3000, 0.63, np.random.default_rng(0))
    reference = np.round(reference * 4) / 4  # means of four ratings tie
    seconds: dict[str, list[float]] = {"now": [], "before": [], "scipy": []}
    for _ in range(repeats):
        start = time.process_time()
        draws = significance.bootstrap(prediction[:, None], reference, resamples=10_000, seed=0)
        seconds["now"].append(time.process_time() - start)
        start = time.process_time()
        srcc, lcc = before(prediction, reference, 10_000)
        seconds["before"].append(time.process_time() - start)
        start = time.process_time()
        rng = np.random.default_rng(0)
        for _ in range(100):
            rows = rng.integers(0, 3000, 3000)
            stats.spearmanr(prediction[rows], reference[rows])
            stats.pearsonr(prediction[rows], reference[rows])
        seconds["scipy"].append(100 * (time.process_time() - start))
    now, earlier, of_scipy = (float(np.median(v)) for v in seconds.values())
    difference = [abs(draws.srcc[:, 0] - srcc).max(), abs(draws.lcc[:, 0] - lcc).max()]
    script = f"import intervals; intervals.large({LARGE}, 200)"
    peak = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PAGE.parent
    ).stdout
    return [
        "## Speed",
        "",
        f"10,000 resamples of 3,000 pairs, one system, median of {repeats} in turns, processor",
        "seconds. Before: SRCC and LCC; now also KTAU, MSE and its three parts. scipy: SRCC and",
        "LCC, 100 resamples times 100.",
        "",
        "| now | before | scipy |",
        "|---|---|---|",
        f"| {now:.2f} | {earlier:.2f} | {of_scipy:.1f} |",
        "",
        f"On the same draws the largest difference to before is {difference[0]:.1g} (SRCC) and",
        f"{difference[1]:.1g} (LCC). {LARGE:,} pairs, 200 resamples: {peak.strip()}.",
        "",
    ]


def large(pairs: int, resamples: int) -> None:
    """Prints seconds and peak memory of a process that does nothing else."""
    prediction, reference = pairs_of(pairs, 0.63, np.random.default_rng(0))
    start = time.process_time()
    significance.bootstrap(prediction[:, None], reference, resamples=resamples, seed=0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.process_time() - start
    print(f"{seconds:.1f} s, peak memory {peak:.0f} MiB with Python and scipy")


def shared_pairs(
    texts: int, generators: int, per_cell: int, share: float, rng: np.random.Generator
) -> tuple[Values, Values, pd.DataFrame]:
    """Two columns of correlation .6 whose text and generator each hold `share` of the variance."""
    cells = np.stack(np.meshgrid(range(texts), range(generators)), -1).reshape(-1, 2)
    cells = np.repeat(cells, per_cell, axis=0)
    kept = rng.random(len(cells)) < 0.5 if texts > 1 and generators > 1 else slice(None)
    cells = cells[kept]
    text_share, generator_share = share * (texts > 1), share * (generators > 1)
    columns = []
    for _ in range(2):
        columns.append(
            text_share**0.5 * rng.normal(size=texts)[cells[:, 0]]
            + generator_share**0.5 * rng.normal(size=generators)[cells[:, 1]]
            + (1 - text_share - generator_share) ** 0.5 * rng.normal(size=len(cells))
        )
    reference = columns[0]
    prediction = 0.6 * reference + 0.8 * columns[1]
    frame = pd.DataFrame(cells, columns=["text", "model_id"]).astype(str)
    return prediction, reference, frame


TRUE = {"srcc": 6 / np.pi * np.arcsin(0.3), "lcc": 0.6, "ktau": 2 / np.pi * np.arcsin(0.6)}
TRUE["mse"] = 0.4**2 + 0.8**2


def coverage(runs: int, resamples: int) -> list[str]:
    """How often 95 % intervals hold the value of endless pairs, texts and generators."""
    lines = [
        "## Coverage of 95 % intervals",
        "",
        f"{runs} simulations per row, {resamples} resamples; normal pairs with LCC .6. Shared:",
        "text and generator each hold .2 of the variance of scores and of ratings. Two standard",
        f"errors of a share are {2 * (0.95 * 0.05 / runs) ** 0.5:.3f}.",
        "",
        "| pairs | resampled | SRCC | LCC | KTAU | MSE |",
        "|---|---|---|---|---|---|",
    ]
    designs = (
        ("50, nothing shared", (50, 1, 1, 0.0), ("none",)),
        ("300, nothing shared", (300, 1, 1, 0.0), ("none",)),
        ("100 texts x 5", (100, 1, 5, 0.2), ("none", "text")),
        ("20 texts x 15", (20, 1, 15, 0.2), ("none", "text")),
        ("30 generators x 10", (1, 30, 10, 0.2), ("none", "model_id")),
        ("6 generators x 50", (1, 6, 50, 0.2), ("none", "model_id")),
        (
            "half of 60 texts x 12 generators",
            (60, 12, 1, 0.2),
            ("none", "text", "model_id", "both"),
        ),
    )
    for name, design, clusters in designs:
        for cluster in clusters:
            inside = dict.fromkeys(METRICS, 0)
            for seed in range(runs):
                rng = np.random.default_rng([seed, len(name)])
                prediction, reference, frame = shared_pairs(*design, rng)
                draws = significance.bootstrap(
                    prediction[:, None],
                    reference,
                    resamples=resamples,
                    seed=seed,
                    clusters=systems.cluster_codes(frame, cluster),
                )
                for metric in METRICS:
                    low, high = resampling.interval(getattr(draws, metric)[:, 0], 0.95)
                    inside[metric] += low < TRUE[metric] < high
            cells = [f"{inside[metric] / runs:.3f}" for metric in METRICS]
            lines.append(f"| {name} | {cluster} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return [*lines, ""]


def false_positives(runs: int, resamples: int) -> list[str]:
    """How often p < .05 where two systems are equally good."""
    lines = [
        "## False positives of `compare` at p < .05",
        "",
        f"{runs} simulations per row, two systems of LCC .6 whose errors correlate by .5.",
        "",
        "| pairs | SRCC | LCC | KTAU | MSE | LCC, Williams |",
        "|---|---|---|---|---|---|",
    ]
    for count in (50, 300):
        significant = dict.fromkeys((*METRICS, "williams"), 0)
        for seed in range(runs):
            rng = np.random.default_rng([seed, count])
            reference, common, *own = rng.normal(size=(4, count))
            both = [0.6 * reference + 0.8 * (0.5**0.5 * common + 0.5**0.5 * one) for one in own]
            frame = pd.DataFrame({"average_score": reference, "a": both[0], "b": both[1]})
            comparison = systems.compare_systems(
                frame, ["a", "b"], EvaluationConfig(resamples=resamples, seed=seed)
            )
            for metric in METRICS:
                row = systems.metric_difference(comparison, "a", "b", metric)
                significant[metric] += row["p_bootstrap"] < 0.05
                significant["williams"] += row.get("p_williams", 1) < 0.05
        cells = [f"{value / runs:.3f}" for value in significant.values()]
        lines.append(f"| {count} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def latent_errors(seeds: int, pairs: int) -> list[str]:
    """How often latent_score +- 1.96 latent_se holds the truth on the scale of the latent score."""
    rows = []
    for number, condition in enumerate(grid()):
        if condition.manner not in ("all attentive", "at random") or condition.per_listener == 5:
            continue
        for seed in range(seeds):
            rng = np.random.default_rng([seed, number])
            truth, ratings, _ = simulate(condition, pairs, rng)
            table = latent.fit_latent(ratings, LatentConfig()).pairs
            index = table["wav_file_name"].str[:5].astype(int).to_numpy()
            score, error = table["latent_score"].to_numpy(), table["latent_se"].to_numpy()
            slope, shift = np.polyfit(score, truth[index], 1)
            ratio = (shift + slope * score - truth[index]) / (slope * error)
            rows.append(
                {
                    "ratings per pair": condition.per_pair,
                    "careless": condition.careless,
                    "covered": np.mean(np.abs(ratio) < 1.96),
                    "factor": np.quantile(np.abs(ratio), 0.95) / 1.96,
                    "change": _largest_change(ratings),
                }
            )
    frame = pd.DataFrame(rows)
    table = frame.groupby(["ratings per pair", "careless"])[["covered", "factor"]].mean()
    lines = [
        "## The latent standard error",
        "",
        "Ratings of listener_recovery.py (whole points cut at 0 and 10; truth 10 x Beta(1.3, .5)),",
        f"{pairs} pairs, {seeds} seeds per condition. Covered: how often latent_score plus or",
        "minus 1.96 latent_se holds the truth, on the scale of the latent score; 0.95 where",
        "right. Factor: by which latent_se would have to be wider for that.",
        "",
        "| ratings per pair | careless | covered | factor |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {per_pair} | {careless:.0%} | {row['covered']:.3f} | {row['factor']:.2f} |"
        for (per_pair, careless), row in zip(table.index, table.to_dict("records"), strict=True)
    ]
    covered, change = frame["covered"], frame["change"]
    lines += [
        "",
        f"All conditions: covered {covered.mean():.3f}, {covered.min():.3f} to",
        f"{covered.max():.3f}.",
        f"At the default tolerance a score is at most {change.max():.4f} points from that of a",
        f"tolerance of 1e-14 (median of the conditions' largest: {change.median():.4f}).",
        "",
    ]
    print("\n".join(lines), flush=True)
    return lines


def latent_by_truth(seeds: int, pairs: int) -> list[str]:
    """The coverage by the shape of the truth and the part of the scale; and two ways to widen."""
    rows = []
    for (name, shape), per_pair, spread, careless, seed in itertools.product(
        TRUTHS.items(), (2, 4, 8), SPREADS, (0.0, 0.08), range(seeds)
    ):
        manner: Manner = "at random" if careless else "all attentive"
        condition = Condition(
            per_pair=per_pair, per_listener=13, careless=careless, spread=spread, manner=manner
        )
        rng = np.random.default_rng([seed, per_pair])
        with mock.patch.object(listener_recovery, "TRUTH", shape):
            truth, ratings, _ = simulate(condition, pairs, rng)
        arrays = rating_arrays.rating_arrays(ratings)
        estimate = latent.estimate_latent(arrays, LatentConfig())
        first = rating_arrays.first_rows(arrays.pair, arrays.num_pairs)
        index = ratings["wav_file_name"].iloc[first].str[:5].astype(int).to_numpy()
        slope, shift = np.polyfit(estimate.score, truth[index], 1)
        ratio = np.abs(shift + slope * estimate.score - truth[index]) / (slope * estimate.error)
        middle = (estimate.score > 2) & (estimate.score < 8)
        row = {"truth": name, "ratings per pair": per_pair, "covered": np.mean(ratio < 1.96)}
        row |= {"middle": np.mean(ratio[middle] < 1.96), "ends": np.mean(ratio[~middle] < 1.96)}
        row["x 1.1"] = np.mean(ratio < 1.96 * 1.1)
        row["local"] = np.mean(ratio < 1.96 * np.maximum(1, local_factor(arrays, estimate)))
        rows.append(row)
    frame = pd.DataFrame(rows)
    table = frame.groupby(["truth", "ratings per pair"], sort=False).mean().round(3)
    lines = [
        "### By the shape of the truth",
        "",
        f"{pairs} pairs, 13 ratings per listener, three spreads of listeners, 0 and 8% careless,",
        f"{seeds} seeds. Middle: scores between 2 and 8. Two ways to widen were tried: by 1.1, and",
        "locally, by the residuals of pairs of like score (a kernel of 1 point) where these are",
        "larger than usual. Over all simulations, on average and at worst:",
        *(
            f"{name} {frame[name].mean():.3f} and {frame[name].min():.3f};"
            for name in ("covered", "x 1.1", "local")
        ),
        "none holds for every truth and part of the scale.",
        "",
        markdown(table.reset_index().set_index("truth")),
    ]
    print("\n".join(lines), flush=True)
    return lines


def local_factor(ratings: RatingArrays, estimate: LatentEstimate) -> Values:
    """Root of the mean squared residual of pairs of like score, over that of all pairs. (P,)"""
    panel, who = estimate.panel, ratings.listener
    quality = (estimate.score - panel.mean)[ratings.pair]
    residual = ratings.score - panel.level[who] - panel.scale[who] * quality
    square = np.bincount(ratings.pair, weights=residual**2 / panel.variance[who])  # (P,)
    count = np.bincount(ratings.pair)
    near = np.exp(-0.5 * np.subtract.outer(estimate.score, estimate.score) ** 2)  # (P, P)
    factor: Values = np.sqrt((near @ square) / (near @ count) / (square.sum() / count.sum()))
    return factor


def _largest_change(ratings: pd.DataFrame) -> float:
    scores = [
        latent.fit_latent(ratings, LatentConfig(tolerance=tolerance, max_iterations=20_000)).pairs
        for tolerance in (LatentConfig.tolerance, 1e-14)
    ]
    return float(np.abs(scores[0]["latent_score"] - scores[1]["latent_score"]).max())


def main() -> None:
    parser = argparse.ArgumentParser(description="Intervals: speed and coverage.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    start = time.process_time()
    lines = [
        *latent_errors(arguments.seeds, pairs=1000),
        *latent_by_truth(arguments.seeds, pairs=1000),
        *coverage(arguments.runs, arguments.resamples),
        *false_positives(arguments.runs, arguments.resamples),
    ]
    head = [
        "# Intervals: how long they take, and whether they hold",
        "",
        figures_of_commit(),
        "",
        "Everything is simulated. Made by `python benchmarks/intervals.py",
        f"--runs {arguments.runs} --seeds {arguments.seeds}` ({platform.machine()}, one thread,",
        f"{(time.process_time() - start) / 60:.0f} minutes without the speed).",
        "",
    ]
    text = "\n".join([*head, *speed(arguments.repeats), *lines])
    with artifacts.atomic_file(PAGE) as temporary:
        temporary.write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
