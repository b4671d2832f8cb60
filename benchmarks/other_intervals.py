"""How often the intervals hold that no other page simulates. Writes other_intervals.md.

python benchmarks/other_intervals.py [--runs 200] [--panels 300]

SRCC between and within generators and within texts, parts of the error, score intervals, weights of
the ensemble, prompts won, bands of the calibration curve, agreement of listeners.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import intervals
import listener_recovery
import numpy as np
from listener_recovery import Condition
from numpy.typing import NDArray
from provenance import figures_of_commit

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import agreement_intervals, noise_ceiling
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import crossfit, ensemble
from soundjudge.scoring.ensemble import intervals as score_intervals
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.folds import RatedScores
from soundjudge.scoring.evaluation import calibration_curve, groups, systems
from soundjudge.scoring.evaluation.systems import EvaluationConfig
from soundjudge.scoring.systems import system_statistics

PAGE = Path(__file__).with_suffix(".md")
RESAMPLES, ENDLESS, LEVEL = 400, 200_000, 0.9
PROMPTS = (6, 20, 50, 200)
MEMBERS = ("good", "fair", "copy", "noise")
Values = NDArray[np.float64]
Row = tuple[str, ...]


def holds(numbers: dict[str, float], key: str, truth: float) -> float:
    """1.0 where the interval of `key` holds the truth, NaN where there is none."""
    if f"{key}_lo" not in numbers:
        return float("nan")
    return float(numbers[f"{key}_lo"] <= truth <= numbers[f"{key}_hi"])


def srcc_of_few(pairs: int, lcc: float) -> float:
    """The expected SRCC of so many normal pairs (Kendall and Gibbons 1990, chapter 10)."""
    few = (pairs - 2) * np.arcsin(lcc / 2) + np.arcsin(lcc)
    return float(6 / np.pi / (pairs + 1) * few)


def group_rows(runs: int) -> Iterator[Row]:
    """SRCC between generators, within one, within a text; the parts of the error."""
    designs = {
        "6 generators x 50": ((1, 6, 50, 0.2), ("none", "model_id")),
        "30 generators x 10": ((1, 30, 10, 0.2), ("none", "model_id")),
        "60 texts x 5": ((60, 1, 5, 0.2), ("none", "text")),
    }
    for name, (design, clusters) in designs.items():
        for cluster in clusters:
            covered = []
            for seed in range(runs):
                rng = np.random.default_rng([seed, len(name)])
                prediction, reference, frame = intervals.shared_pairs(*design, rng)
                frame = frame.assign(average_score=reference, a=prediction + 0.5)
                config = EvaluationConfig(resamples=RESAMPLES, seed=seed, cluster=cluster)
                comparison = systems.compare_systems(frame, ["a"], config)
                numbers = systems.metrics_with_intervals(comparison, "a")
                numbers |= groups.group_metrics(comparison, "a")
                # Of reference r and prediction .5 + .6 r + .8 e, both of variance 1.
                truths = {"mse_bias": 0.25, "mse_slope": 0.16, "mse_rest": 0.64}
                truths["within_generator_srcc"] = srcc_of_few(design[2], 0.6)
                truths["within_text_srcc"] = srcc_of_few(design[2], 0.6)
                truths["generator_srcc"] = srcc_of_few(design[1], 0.6)
                covered.append([holds(numbers, key, truth) for key, truth in truths.items()])
            yield name, cluster, *shares(covered)


def shares(covered: list[list[float]]) -> list[str]:
    """The mean of each column as text, empty where no run has an interval."""
    table = np.array(covered)
    return ["" if np.isnan(column).all() else f"{np.nanmean(column):.3f}" for column in table.T]


def members(count: int, rng: np.random.Generator, noise: float = 1.0) -> RatedScores:
    """A good member, a fair one, the first again, and noise; ratings cut at 0 and 10."""
    truth = rng.normal(size=count)
    error = noise * rng.normal(size=(count, 4))
    scores = np.stack(
        [truth + 0.7 * error[:, 0], truth + error[:, 1], truth + 0.7 * error[:, 0], error[:, 2]], 1
    )
    scores[:, 2] += 0.2 * error[:, 3]
    return RatedScores(
        scores=scores, rating=np.clip(6 + 2.5 * truth + rng.normal(size=count), 0, 10)
    )


def score_rows(runs: int) -> Iterator[Row]:
    """Intervals of single scores, fitted as the stage `ensemble` does, on new pairs."""
    config = EnsembleConfig(
        members=dict.fromkeys(MEMBERS, "x"), method="nnls", calibration="linear"
    )
    for count in (100, 400):
        for label, noise in (("like those of validation", 1.0), ("whose scores err by 1.5", 1.5)):
            table = []
            for seed in range(runs):
                rng = np.random.default_rng([seed, count])
                pairs, new = members(count, rng), members(2000, rng, noise)
                fitted = crossfit.fit(pairs, config)
                learned = score_intervals.fit_intervals(
                    crossfit.crossfit(pairs, config).scores,
                    score_intervals.members_spread(fitted, pairs.scores),
                    pairs.rating,
                    LEVEL,
                )
                scores = ensemble.apply_ensemble(fitted, new.scores)
                spread = score_intervals.members_spread(fitted, new.scores)
                low, high = learned.bounds(scores, spread)
                inside = (low <= new.rating) & (new.rating <= high)
                wide, middle = spread > np.median(spread), (scores > 2) & (scores < 8)
                parts = [inside, inside[~wide], inside[wide], inside[middle], inside[~middle]]
                table.append([part.mean() for part in parts])
            worst = np.quantile(np.array(table)[:, 0], 0.05)
            yield f"{count}", label, *shares(table), f"{worst:.3f}"


def weight_rows(runs: int) -> Iterator[Row]:
    """Weights by non-negative least squares against those of endless pairs."""
    config = EnsembleConfig(
        members=dict.fromkeys(MEMBERS, "x"), method="nnls", calibration="linear", resamples=200
    )
    endless = members(ENDLESS, np.random.default_rng(99))
    truth = ensemble.fit_ensemble(endless.scores, endless.rating, config).weights
    for count in (100, 400):
        covered = []
        for seed in range(runs):
            pairs = members(count, np.random.default_rng([seed, count]))
            draws = ensemble.weight_draws(pairs.scores, pairs.rating, config)
            low, high = np.nanpercentile(draws, [2.5, 97.5], axis=0)
            covered.append(list(((low <= truth) & (truth <= high)).astype(float)))
        yield f"{count}", *shares(covered)
    yield "endless: the weight", *(f"{weight:.3f}" for weight in truth)


def prompt_rows(runs: int) -> Iterator[Row]:
    """A report's share of prompts won, and its mean score, of three systems; scores are cut."""

    def scores(prompts: int, rng: np.random.Generator) -> Values:
        return np.clip(rng.normal([6.0, 7.0, 8.5], 3, (prompts, 3)), 0, 10)

    endless = scores(ENDLESS, np.random.default_rng(99))
    first = system_statistics.summarize_systems("abc", endless, resamples=50, seed=0)
    for prompts in PROMPTS:
        covered = []
        for seed in range(runs):
            values = scores(prompts, np.random.default_rng([seed, prompts]))
            summaries = system_statistics.summarize_systems(
                "abc", values, resamples=RESAMPLES, seed=seed
            )
            pairs = [(s.won, t.won) for s, t in zip(summaries, first, strict=True)]
            pairs += [(s.mean, t.mean) for s, t in zip(summaries, first, strict=True)]
            covered.append([float(own.lo <= true.value <= own.hi) for own, true in pairs])
        yield f"{prompts}", *shares(covered)


def band_rows(runs: int) -> Iterator[Row]:
    """Bands of the calibration curve against the expected rating of their scores."""
    covered: dict[str, list[float]] = {"2 to 4": [], "5 to 19": [], "20 or more": []}
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        pairs, endless = (members(size, rng) for size in (150, 20_000))
        score, every = (np.clip(6 + 2 * p.scores[:, 0], 0, 10) for p in (pairs, endless))
        curve = calibration_curve.calibration_curve(score, pairs.rating)
        edges = calibration_curve.BANDS
        band, all_bands = (np.clip(np.digitize(s, edges) - 1, 0, 9) for s in (score, every))
        for number, (mean, half) in enumerate(
            zip(curve.band_rating, curve.band_error, strict=True)
        ):
            which = np.unique(band)[number]
            size, truth = int((band == which).sum()), endless.rating[all_bands == which].mean()
            if size > 1:
                key = "2 to 4" if size < 5 else "5 to 19" if size < 20 else "20 or more"
                covered[key].append(float(abs(mean - truth) <= half))
    for key, values in covered.items():
        yield key, f"{len(values)}", f"{np.mean(values):.3f}"


def agreement_rows(panels: int) -> Iterator[Row]:
    """Agreement of listeners against the mean over the panels of a design."""
    names = ("icc", "icc_mean", "alpha", "split_half")
    for pairs, per_pair, per_listener, label in (
        (200, 4, 13, "61 listeners, 4 ratings per pair"),
        (100, 10, 100, "10 listeners, each on every pair"),
    ):
        condition = Condition(
            per_pair=per_pair,
            per_listener=per_listener,
            careless=0.0,
            spread="medium",
            manner="all attentive",
        )
        every = []
        failing = mock.patch.object(noise_ceiling, "ceiling_range", side_effect=ReliabilityError)
        for seed in range(panels):
            rng = np.random.default_rng([9, seed])
            _, frame, _ = listener_recovery.simulate(condition, pairs, rng)
            with failing:  # ceilings have their own table
                row = agreement_intervals.agreement_intervals(frame, resamples=200, seed=seed)
            every.append(row)
        truth = {name: float(np.mean([row[name] for row in every])) for name in names}
        covered = [[holds(row, name, truth[name]) for name in names] for row in every]
        yield label, *shares(covered)


def section(title: str, text: str, header: str, rows: Iterator[Row]) -> list[str]:
    """A heading, what the table is, and the table, which is printed as it grows."""
    lines = [f"## {title}", "", text, "", f"| {header} |"]
    lines.append("|---" * (header.count("|") + 1) + "|")
    for row in rows:
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def error(runs: int) -> str:
    return f"{2 * (0.95 * 0.05 / runs) ** 0.5:.3f}"


def page(runs: int, panels: int) -> str:
    lines = [
        "# How often other intervals hold (simulated)",
        "",
        figures_of_commit(),
        "",
        f"Everything is simulated. Made by `python benchmarks/other_intervals.py --runs {runs}",
        f"--panels {panels}`. Shares of intervals that hold the truth; .95 is the aim, of scores",
        f"{LEVEL:g}. Two standard errors of a share of .95 are {error(runs)} of {runs} runs and",
        f"{error(panels)} of {panels} panels. Four metrics over all pairs, the latent error and",
        "`compare` are in `intervals.md`, reports in `system_tests.md`, the study in",
        "`study_coverage.md`, noise ceilings in `ceiling.md`.",
        "",
    ]
    lines += section(
        "Generators, texts, parts of the error",
        "As in `intervals.md`; SRCC against its expectation for so many pairs (or generators).",
        "pairs | resampled | bias of MSE | slope | rest | within generators | within texts "
        "| between generators",
        group_rows(runs),
    )
    lines += section(
        "Intervals of single scores",
        f"{LEVEL:.0%} intervals as the stage `ensemble` fits them, on 2,000 new pairs per run.\n"
        "Spread: that of the members, below and above its median. Middle: scores between 2 and 8.\n"
        "Worst: the twentieth part of the runs has less.",
        "validation pairs | new pairs | held | little spread | much spread | middle | ends | worst",
        score_rows(runs),
    )
    lines += section(
        "Weights of the ensemble",
        "By `nnls`; `copy` is nearly `good`, and `noise` knows nothing: its weight is 0.",
        f"pairs | {' | '.join(MEMBERS)}",
        weight_rows(runs),
    )
    lines += section(
        "Report: prompts won (Wilson) and mean scores",
        "Three systems of mean 6, 7 and 8.5 and standard deviation 3, cut at 0 and 10.",
        "prompts | won, a | won, b | won, c | mean, a | mean, b | mean, c",
        prompt_rows(runs),
    )
    lines += section(
        "Bands of the calibration curve",
        "150 pairs per run; a band is a point of score wide.",
        "pairs in the band | bands | held",
        band_rows(runs),
    )
    lines += section(
        "`soundjudge reliability`",
        f"Against the mean over {panels} panels of the design, with other listeners in each.",
        "design | ICC | ICC of the mean | alpha | split halves",
        agreement_rows(panels),
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--panels", type=int, default=300)
    options = parser.parse_args()
    text = page(options.runs, options.panels)
    with artifacts.atomic_file(PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
