"""Correlation of each target with the truth, and listeners that each screening finds: simulated.

python benchmarks/listener_recovery.py [--seeds 1 2 3] [--pairs 1000]

All listeners are simulated (soundjudge.sample.simulated_listeners), so the truth is known. Writes
benchmarks/listener_recovery.md: the aggregates, which are printed, and the whole grid.
"""

import argparse
import dataclasses
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from recovery_tables import FACTORS, SCREENINGS, TARGETS, page

from soundjudge import params
from soundjudge.labels.ratings import latent, listeners, rating_arrays, screening
from soundjudge.labels.ratings.config import LatentConfig, Screening
from soundjudge.reporting import metrics
from soundjudge.runtime import artifacts
from soundjudge.sample.composition import simulated_listeners
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "benchmarks/listener_recovery.md"

SPREADS = {"small": (0.3, 0.05), "medium": (0.9, 0.2), "large": (1.5, 0.4)}  # of bias, log scale
NOISE = 1.3  # rating points, as in the sample
TRUTH = (1.3, 0.5)  # beta distribution: mean ratings near 6.9 and a peak at the top, as XACLE's
PRIORS = [
    {"scale_sd": 0.1},
    {"scale_sd": 0.3},
    {"noise_prior_weight": 2.0},
    {"noise_prior_weight": 8.0},
]

Manner = Literal["all attentive", "at random", "constant", "lapses"]  # of carelessness


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One cell of the grid."""

    per_pair: int
    per_listener: int
    careless: float  # share of listeners; with lapses, share of everybody's ratings
    spread: str
    manner: Manner

    def factors(self) -> dict[str, object]:
        """The same as a row of a table."""
        return dict(zip(FACTORS, dataclasses.astuple(self), strict=True))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sections of params.yaml for screening and the latent model."""

    screen: Screening
    latent: LatentConfig


def grid() -> Iterator[Condition]:
    """All conditions: without careless listeners once, with them in each manner."""
    manners: list[tuple[float, Manner]] = [(0.0, "all attentive")]
    manners += [
        (share, kind) for share in (0.08, 0.2) for kind in ("at random", "constant", "lapses")
    ]
    for per_pair, per_listener, spread, (careless, manner) in itertools.product(
        (2, 4, 8), (5, 13, 50), SPREADS, manners
    ):
        yield Condition(
            per_pair=per_pair,
            per_listener=per_listener,
            careless=careless,
            spread=spread,
            manner=manner,
        )


def simulate(
    condition: Condition, pairs: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], pd.DataFrame, set[str]]:
    """The truth of each pair, the ratings, and the ids of the careless listeners."""
    truth = 10 * rng.beta(*TRUTH, pairs)
    bias, scale = SPREADS[condition.spread]
    panel = SimulatedPanel(
        ratings_per_pair=condition.per_pair,
        ratings_per_listener=condition.per_listener,
        bias_sd=bias,
        scale_sd=scale,
        noise_sd=NOISE,
        careless=0.0,  # `spoil` adds them, so that their ids are known
    )
    rows = simulated_listeners.simulate_ratings(truth, panel, "l", rng)
    frame = pd.DataFrame(rows, columns=["pair", "listener_id", "score"])
    frame["wav_file_name"] = frame["pair"].map("{:05d}.wav".format)
    frame = frame.assign(text="t", score=frame["score"].astype(float))
    return truth, *spoil(frame, condition, rng)


def spoil(
    frame: pd.DataFrame, condition: Condition, rng: np.random.Generator
) -> tuple[pd.DataFrame, set[str]]:
    """Replaces some ratings by careless ones, uniform on whole points; returns whose they are."""
    uniform = rng.integers(0, 11, len(frame)).astype(float)
    if condition.manner == "lapses":  # everybody, now and then: no listener to find
        lapse = rng.random(len(frame)) < condition.careless
        return frame.assign(score=np.where(lapse, uniform, frame["score"])), set()
    number, names = pd.factorize(frame["listener_id"])
    careless = rng.random(len(names)) < condition.careless
    if condition.manner == "constant":
        uniform = rng.integers(0, 11, len(names)).astype(float)[number]
    spoiled = np.where(careless[number], uniform, frame["score"])
    return frame.assign(score=spoiled), set(names[careless])


def targets(ratings: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The four targets and the latent standard error of each remaining pair, by file name."""
    plain, shrunken = (
        listeners.build_targets(ratings, scales.listeners, scales.overall)
        for scales in map(partial(listeners.listener_scales, ratings), (0.0, "empirical_bayes"))
    )
    fit = latent.fit_latent(ratings, settings.latent).pairs
    table = plain.rename(columns={"mean_score": "mean", "spo_score": "SPO"})
    return table.assign(
        **{"SPO shrunken": shrunken["spo_score"], "latent": fit["latent_score"]},
        error=fit["latent_se"],
    ).set_index("wav_file_name")


def correlations(
    truth: NDArray[np.float64], table: pd.DataFrame, kept: NDArray[np.bool_]
) -> Iterator[dict[str, object]]:
    """Correlations with the truth, of all pairs and of those `kept` by every screening.

    Among all pairs, a lost one gets the mean target.
    """
    every = table.reindex([f"{number:05d}.wav" for number in range(len(truth))])
    for target in TARGETS:
        values = every[target].fillna(every[target].mean()).to_numpy()
        yield {
            "target": target,
            "srcc": metrics.srcc(values, truth),
            "lcc": metrics.lcc(values, truth),
            "srcc kept": metrics.srcc(values[kept], truth[kept]),
        }


def detection(
    kept: NDArray[np.bool_], ratings: pd.DataFrame, careless: set[str]
) -> dict[str, float]:
    """Scores of the guess that listeners who lost over half their ratings are careless; or NaN."""
    share = 1 - pd.Series(kept).groupby(ratings["listener_id"].to_numpy()).mean()
    flagged = set(share.index[share > 0.5])
    hits, attentive = len(flagged & careless), len(share) - len(careless)
    return {
        "precision": hits / len(flagged) if flagged and careless else np.nan,
        "recall": hits / len(careless) if careless else np.nan,
        "attentive listeners lost": len(flagged - careless) / attentive,
        "ratings lost": 1 - float(kept.mean()),
        "pairs lost": 1 - ratings["pair"][kept].nunique() / ratings["pair"].nunique(),
    }


def error_ratio(truth: NDArray[np.float64], table: pd.DataFrame) -> float:
    """Deviation of the latent score's error over its standard error; 1 where that is correct.

    On the scale of the truth: the latent one is the mean listener's, careless ones included.
    """
    latent_score = table["latent"].to_numpy()
    slope, shift = np.polyfit(latent_score, truth, 1)
    error = shift + slope * latent_score - truth
    return float(np.std(error / (slope * table["error"].to_numpy())))


def measure(
    condition: Condition, settings: Settings, pairs: int, seed: list[int]
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The rows of one simulation: of targets, and of screenings."""
    truth, ratings, careless = simulate(condition, pairs, np.random.default_rng(seed))
    arrays = rating_arrays.rating_arrays(ratings)
    common: dict[str, object] = {**condition.factors(), "seed": seed[0]}
    kept_by_method = {}
    for method in SCREENINGS:
        rules = dataclasses.replace(settings.screen, method=method)
        kept_by_method[method] = screening.drop_reasons(arrays, rules) == screening.KEPT
    left = [np.isin(np.arange(pairs), ratings["pair"][kept]) for kept in kept_by_method.values()]
    correlation_rows: list[dict[str, object]] = []
    detection_rows: list[dict[str, object]] = []
    for method, kept in kept_by_method.items():
        row = {**common, "screening": method}
        detection_rows.append(row | detection(kept, ratings, careless))
        table = targets(ratings[kept].reset_index(drop=True), settings)
        correlation_rows += [
            row | scores for scores in correlations(truth, table, np.all(left, axis=0))
        ]
        if method == "none":
            detection_rows[-1]["error / se"] = error_ratio(truth, table)
    return correlation_rows, detection_rows


def sensitivity(settings: Settings, pairs: int, seeds: list[int]) -> pd.DataFrame:
    """SRCC of the latent score under other priors, without screening, at 4 ratings per pair."""
    rows = []
    for number, condition in enumerate(grid()):
        if condition.per_pair != 4 or condition.manner not in ("all attentive", "at random"):
            continue
        for seed in seeds:
            truth, ratings, _ = simulate(condition, pairs, np.random.default_rng([seed, number]))
            for change in [{}, *PRIORS]:
                config = dataclasses.replace(settings.latent, **change)
                score = latent.fit_latent(ratings, config).pairs["latent_score"]
                name = ", ".join(f"{key} {value:g}" for key, value in change.items())
                rows.append({"prior": name or "as set", "srcc": metrics.srcc(score, truth)})
    return pd.DataFrame(rows).groupby("prior", sort=False)["srcc"].mean().to_frame()


def main() -> None:
    parser = argparse.ArgumentParser(description="Targets and screenings against a known truth.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--pairs", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.pairs < 500:
        parser.error("--pairs: 500 or more, or there are hardly any listeners of 50 ratings each")
    settings = Settings(
        screen=params.load("screen", Screening, ROOT / "params.yaml"),
        latent=params.load("standardize.latent", LatentConfig, ROOT / "params.yaml"),
    )
    start = time.process_time()
    correlation_rows, detection_rows = [], []
    for number, condition in enumerate(grid()):
        for seed in arguments.seeds:
            rows = measure(condition, settings, arguments.pairs, [seed, number])
            correlation_rows += rows[0]
            detection_rows += rows[1]
        if number % 27 == 26:
            print(f"{number + 1} conditions, {time.process_time() - start:.0f} s", flush=True)
    priors = sensitivity(settings, arguments.pairs, arguments.seeds)
    text, whole = page(
        pd.DataFrame(correlation_rows),
        pd.DataFrame(detection_rows),
        priors,
        pairs=arguments.pairs,
    )
    with artifacts.atomic_file(PAGE) as temporary:
        temporary.write_text(text + whole, encoding="utf-8")
    print(f"{text}\n{(time.process_time() - start) / 60:.1f} minutes of one core")


if __name__ == "__main__":
    main()
