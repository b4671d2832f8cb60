"""Does a fit on more rated pairs help, with every choice made before? On test; prints Markdown.

python benchmarks/last_fit.py members | curve

`members` fits what learns from ratings on train and validation, by the last fit's own code, and
compares it with the selection run, which learned train alone. `curve` fits on fewer pairs. Reads
what `dvc repro` left; fits lie below work/last_fit/, and one that is done is not repeated until the
folder is removed. All ratings are SIMULATED.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from numpy.typing import NDArray

from soundjudge import params
from soundjudge.clap.encoders.encoder import ClapEncoder, clip_embedder, encode_distinct
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.features.stored_clap import load_stored
from soundjudge.clap.regression import regressor
from soundjudge.clap.regression.kernel_machine import RegressionConfig, fit_kernel_machine
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips import clip_levels
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.fusion.fused_machine import FusionConfig, fit_fused_machine
from soundjudge.labels.last_fit import pooling
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.likelihood import likelihood
from soundjudge.reporting import metrics, resampling
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.ensemble import panel, refits
from soundjudge.scoring.ensemble.ensemble import ENSEMBLE, Ensemble, read_ensemble
from soundjudge.scoring.ensemble.matching import PAIR, match_pairs
from soundjudge.scoring.evaluation import systems
from soundjudge.scoring.evaluation.systems import EvaluationConfig, SystemComparison
from soundjudge.scoring.members import members, predict
from soundjudge.scoring.members.pipeline_encodings import PipelineEncodings

ROOT = Path(__file__).resolve().parent.parent
PARAMS, WORK, PREPARED = ROOT / "params.yaml", ROOT / "work/last_fit", ROOT / "data/prepared"
SELECTION = ROOT / "data/targets"
SHARED = ("data", "checkpoints", "metrics", "stages", "final")  # that a fit reads from the root
SEEDS = (3, 4, 5)  # of tune_clap, one per draw; the first is that of params.yaml
SIZES, DRAWS = (400, 800, 1600), 10  # pairs; draws of them, of which clapscore takes the first
MACHINES = ("regress", "fusion")
RESAMPLES = 2000
NOT_LEARNED = ("likelihood", "zeroshot")  # they need no rating


def pool_targets(folder: Path) -> pd.DataFrame:
    """Targets of train and validation by the last fit's code: a TARGETS table, also as files."""
    ratings = tables.read_table(PREPARED / "ratings.parquet", tables.RATINGS)
    assert set(ratings["split"]) == {"train", "validation"}, "test ratings are test's alone"
    rules = params.load("screen", Screening, PARAMS)
    pooled = pooling.pool_targets(
        ratings, rules, params.load("standardize", Standardization, PARAMS)
    )
    refits.write_targets(folder, SELECTION, pooled.targets)
    artifacts.write_json(folder / refits.SCALE, asdict(pooled.overall))
    return pooled.targets


def fitted_scores(path: str, targets: Path, run: str, seed: int = SEEDS[0]) -> pd.DataFrame:
    """PREDICTIONS of test by a member, `path` below checkpoints/, that is fitted to `targets`."""
    folder = WORK / "fits" / f"{path}-{run}"
    scored = folder / "test.csv"
    if not scored.is_file():
        set_up(folder, seed)
        refits.write_targets(
            folder / "targets", targets, tables.read_table(targets / "train.csv", tables.TARGETS)
        )
        command = [sys.executable, *refits.fit_command(path, folder)]
        subprocess.run(command, cwd=folder, check=True)
        tables.write_table(score(folder / "checkpoint"), scored, tables.PREDICTIONS)
    return tables.read_table(scored, tables.PREDICTIONS)


def set_up(folder: Path, seed: int) -> None:
    """A folder that a fit runs in: params with this seed of tune_clap, and links to the root."""
    folder.mkdir(parents=True, exist_ok=True)
    values = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    values["tune_clap"]["seed"] = seed
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    for name in SHARED:
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / name)


def score(checkpoint: Path) -> pd.DataFrame:
    """PREDICTIONS of test."""
    prediction = params.load("predict", predict.PredictionSection, PARAMS)
    device = devices.resolve_device(params.load("device", str, PARAMS))
    clips = ClipStore(PREPARED)
    encoder = params.load("encoders.audio", Path, PARAMS)
    frontend = params.load("features.frontend", AudioFrontend, PARAMS)
    stored = PipelineEncodings(
        clips, ROOT / "data/clap_features", ROOT / prediction.features, encoder, frontend
    )
    loader = members.MemberLoader(
        root=ROOT, device=device, window_seconds=prediction.window_seconds, stored=stored
    )
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    test = rated[rated["split"] == "test"]
    return predict.predict(loader.member(checkpoint), clips, test, prediction)


def with_scores(frame: pd.DataFrame, scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """The pairs of `frame` with the scores of a PREDICTIONS table as a column."""
    return match_pairs(scores.rename(columns={"pred_score": column}), frame, column, "test")


def rated_test() -> pd.DataFrame:
    """The pairs of test with their mean rating, and whether their sound is silent."""
    ratings = tables.read_table(ROOT / "data/test_labels/ratings.parquet", tables.RATINGS)
    pairs = ratings.groupby(PAIR, sort=False)["score"].mean().rename("average_score")
    return panel.mark_silent(pairs.reset_index(), set(clip_levels.read_levels(PREPARED).silent))


def blend(frame: pd.DataFrame, columns: dict[str, str], fitted: Ensemble) -> pd.Series:
    """The ensemble by the selection run's weights, of each member's column in `frame`."""
    chosen = frame[[*PAIR, panel.SILENT, *columns.values()]]
    named = chosen.rename(columns={column: name for name, column in columns.items()})
    return panel.blend_panel(named, fitted)["pred_score"]


def selection_scores(frame: pd.DataFrame, paths: dict[str, str]) -> pd.DataFrame:
    """`frame` with the selection run's scores of test, a column per member."""
    scores = panel.read_panel(ROOT / "data/predictions/members", list(paths), "test")
    return match_pairs(scores, frame, "the selection run", "test")


def difference_cells(comparison: SystemComparison, new: str, old: str) -> str:
    """SRCC and MSE of both, and new minus old with paired intervals, as cells."""
    cells = []
    for metric, digits in (("srcc", 3), ("mse", 2)):
        row = systems.metric_difference(comparison, new, old, metric)
        values = [
            getattr(metrics, metric)(comparison.frame[name], comparison.frame["average_score"])
            for name in (old, new)
        ]
        cells += [f"{value:.{digits}f}" for value in values]
        cells.append(
            f"{row['difference']:+.{digits}f} "
            f"[{row['difference_lo']:+.{digits}f}, {row['difference_hi']:+.{digits}f}]"
        )
    return " | ".join(cells)


def print_members() -> None:
    """Every member and the ensemble: train and validation against train alone."""
    paths = params.load("ensemble.members", dict[str, str], PARAMS)
    fitted = read_ensemble(ROOT / "checkpoints/ensemble.json")
    pooled = WORK / "train_and_validation"
    counts = (
        len(tables.read_table(SELECTION / "train.csv", tables.TARGETS)),
        len(pool_targets(pooled)),
    )
    frame = selection_scores(rated_test(), paths)
    new = {name: name if name in NOT_LEARNED else f"{name} last" for name in paths}
    for name in paths.keys() - NOT_LEARNED:
        frame = with_scores(frame, fitted_scores(paths[name], pooled, "last"), new[name])
    for name, columns in ((ENSEMBLE, {n: n for n in paths}), (f"{ENSEMBLE} last", new)):
        frame[name] = blend(frame, columns, fitted)
    rows = [(name, column, name) for name, column in new.items() if column != name]
    for seed in SEEDS[1:]:  # for as many epochs as the first was selected to take, in both fits
        old, last = f"clapscore {seed}", f"clapscore {seed} last"
        frame = with_scores(
            frame, fitted_scores("clapscore", SELECTION, f"train-{seed}", seed), old
        )
        frame = with_scores(frame, fitted_scores("clapscore", pooled, f"last-{seed}", seed), last)
        rows.append((f"clapscore, seed {seed}", last, old))
    rows.append((ENSEMBLE, f"{ENSEMBLE} last", ENSEMBLE))
    comparison = compare(frame)
    print(
        f"\n{counts[0]:,} pairs of train, {counts[1]:,} with validation, {len(frame)} of test\n\n"
        "| member | SRCC, train | with validation | difference | MSE, train | with validation "
        f"| difference |\n{'|---' * 7}|"
    )
    for name, last, old in rows:
        print(f"| {name} | {difference_cells(comparison, last, old)} |")


def compare(frame: pd.DataFrame) -> SystemComparison:
    """All columns of scores, on the same resamples of the pairs."""
    others = {*PAIR, panel.SILENT, "average_score"}
    names = [str(name) for name in frame if name not in others]
    return systems.compare_systems(frame, names, EvaluationConfig(resamples=RESAMPLES, seed=0))


def print_curve() -> None:
    """The cheap members and the ensemble, fitted on some of the pairs of train and validation."""
    paths = params.load("ensemble.members", dict[str, str], PARAMS)
    fitted = read_ensemble(ROOT / "checkpoints/ensemble.json")
    pooled = WORK / "train_and_validation"
    pairs, frame = pool_targets(pooled), selection_scores(rated_test(), paths)
    encodings = encode(pd.concat([pairs[PAIR], frame[PAIR]]))
    columns: dict[tuple[str, int], list[str]] = {}
    for size, draw in [*product(SIZES, range(DRAWS)), *product([len(pairs)], range(len(SEEDS)))]:
        rows = np.sort(np.random.default_rng(draw).permutation(len(pairs))[:size])
        whole, run = size == len(pairs), f"{size}-{draw}"
        new = {name: f"{name} {size}-0" if whole else f"{name} {run}" for name in MACHINES}
        if not whole or draw == 0:  # the machines have no chance of their own
            for name, values in machine_scores(encodings, pairs, rows).items():
                frame[new[name]] = values
        if draw < len(SEEDS):
            targets = pooled if whole else WORK / "draws" / run
            if not whole:
                refits.write_targets(targets, pooled, pairs.iloc[rows])
            fit = f"{'last' if whole else run}-{SEEDS[draw]}"
            scores = fitted_scores("clapscore", targets, fit, SEEDS[draw])
            new["clapscore"] = f"clapscore {run}"
            frame = with_scores(frame, scores, new["clapscore"])
        frame[f"{ENSEMBLE} {run}"] = blend(frame, {n: new.get(n, n) for n in paths}, fitted)
        for name, column in {**new, ENSEMBLE: f"{ENSEMBLE} {run}"}.items():
            columns.setdefault((name, size), []).append(column)
    print_sizes(compare(frame), columns, (*SIZES, len(pairs)))


def encode(pairs: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """What both kernel machines read of pairs (N,): regress_, fusion_{sounds,texts} and evidence.

    None of it depends on a rating or on another pair, so that it is computed once for all fits.
    """
    path = WORK / "encodings.npz"
    if not path.is_file():
        device = devices.resolve_device(params.load("device", str, PARAMS))
        clips, texts = ClipStore(PREPARED), list(pairs["text"])
        ids = [tables.rated_clip_id(name) for name in pairs["wav_file_name"]]
        encoded: dict[str, NDArray[Any]] = {}
        for name, config in (("regress", regression()), ("fusion", fusion_config())):
            claps = load_claps(config, clips, device)
            sides = [encode_distinct(clip_embedder(clap, clips), ids, 32) for clap in claps]
            encoded[f"{name}_sounds"] = np.concatenate(sides, axis=1)
            sides = [encode_distinct(clap.embed_texts, texts, 32) for clap in claps]
            encoded[f"{name}_texts"] = np.concatenate(sides, axis=1)
            encoded[f"{name}_dimensions"] = np.array(
                json.dumps([clap.dimensions for clap in claps])
            )
        captioner = likelihood.load_likelihood(ROOT / "checkpoints/likelihood", device)
        features, parts = ArrayStore(ROOT / "data/features"), []
        with torch.no_grad():
            for start in range(0, len(ids), 32):
                sounds = torch.from_numpy(features.gather(ids[start : start + 32])).float()
                parts.append(captioner.evidence(sounds, texts[start : start + 32]).double().numpy())
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, evidence=np.concatenate(parts), **encoded)
    with np.load(path) as stored:
        return dict(stored)


def regression() -> RegressionConfig:
    return params.load("regress", RegressionConfig, PARAMS)


def fusion_config() -> FusionConfig:
    return params.load("fusion", FusionConfig, PARAMS)


def load_claps(
    config: RegressionConfig, clips: ClipStore, device: torch.device
) -> list[ClapEncoder]:
    sources = config.claps(params.load("encoders.clap", ClapSource, PARAMS))
    return [load_stored(source, device, clips, ROOT / "data/clap_features") for source in sources]


def machine_scores(
    encodings: dict[str, NDArray[Any]], pairs: pd.DataFrame, rows: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Scores of test, which stands behind the pairs, by machines fitted to these `rows` of them."""
    test = slice(len(pairs), None)
    overall = artifacts.read_json(WORK / "train_and_validation" / refits.SCALE)
    some = pairs.iloc[rows]
    fits = {}
    for name, config in (("regress", regression()), ("fusion", fusion_config())):
        sounds, texts = encodings[f"{name}_sounds"], encodings[f"{name}_texts"]
        stored = json.loads(str(encodings[f"{name}_dimensions"]))
        dimensions = [tuple(d) if isinstance(d, list) else d for d in stored]
        targets = regressor.target_scores(some, config.target, **overall)
        pair_sides = sounds[rows], texts[rows], dimensions
        if isinstance(config, FusionConfig):
            evidence = encodings["evidence"]
            machine = fit_fused_machine(*pair_sides, evidence[rows], targets, config)
            fits[name] = machine(sounds[test], texts[test], evidence[test])
        else:
            fits[name] = fit_kernel_machine(*pair_sides, targets, config)(sounds[test], texts[test])
    return fits


def print_sizes(
    comparison: SystemComparison, columns: dict[tuple[str, int], list[str]], sizes: Sequence[int]
) -> None:
    """A row per member, a cell per size; and what a doubling of the pairs adds."""
    print("\n| member | " + " | ".join(f"{size:,}" for size in sizes) + " | per doubling |")
    print("|---" * (2 + len(sizes)) + "|")
    doublings = np.log2(np.array(sizes) / sizes[0])
    for name in ("clapscore", *MACHINES, ENSEMBLE):
        cells, draws = [], []
        for size in sizes:
            names = columns[name, size]
            reference = comparison.frame["average_score"]
            values = [metrics.srcc(comparison.frame[column], reference) for column in names]
            spread = f" ± {stdev(values):.3f}" if len(set(values)) > 1 else ""
            cells.append(f"{mean(values):.3f}{spread}")
            rows = [comparison.systems.index(column) for column in names]
            draws.append((mean(values), comparison.draws.srcc[:, rows].mean(axis=1)))
        points = np.array([value for value, _ in draws])
        resampled = np.stack([some for _, some in draws], axis=1)  # (R, S)
        slope = np.polyfit(doublings, points, 1)[0]
        low, high = resampling.interval(np.polyfit(doublings, resampled.T, 1)[0], 0.95)
        cells.append(f"{slope:+.3f} [{low:+.3f}, {high:+.3f}]")
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Does a fit on more rated pairs help?")
    parser.add_argument("what", choices=["members", "curve"])
    {"members": print_members, "curve": print_curve}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
