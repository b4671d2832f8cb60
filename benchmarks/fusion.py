"""What the captioner's likelihood adds inside the kernel regressor, on the sample; prints Markdown.

python benchmarks/fusion.py choose | test

`choose` compares statistics and weights, by five folds of the rated training pairs and on
validation; `test` measures the members and ensembles of params.yaml with and without `fusion`, on
test. Reads what `dvc repro` left. All ratings are SIMULATED. References differ with three seeds;
everything else is fitted without chance.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import likelihood as captioner
import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.model_selection import KFold

from soundjudge import params
from soundjudge.clap.encoders.encoder import Dimensions, clip_embedder, encode_distinct
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.features.stored_clap import load_stored
from soundjudge.clap.regression.kernel_machine import RegressionConfig, fit_kernel_machine
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.fusion.fused_machine import FusionConfig, fit_fused_machine
from soundjudge.model.lalm import checkpoint
from soundjudge.model.likelihood import likelihood
from soundjudge.model.likelihood.references import select_references
from soundjudge.reporting import resampling
from soundjudge.runtime import devices
from soundjudge.scoring.ensemble import crossfit, ensemble, panel
from soundjudge.scoring.ensemble.folds import RatedScores
from soundjudge.scoring.evaluation import significance
from soundjudge.training.lalm.training_pairs import gather_features

ROOT = Path(__file__).resolve().parent.parent
PARAMS = ROOT / "params.yaml"
SEEDS, WEIGHTS, FOLDS, RESAMPLES = (1, 2, 3), (0.25, 0.5, 1.0), 5, 2000
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Rated:
    """Rated pairs of a split (N,) with all CLAPs' embeddings and the captioner's log-probabilities.

    Embeddings stand side by side, as `regress` and `fusion` read them; they name the same CLAPs.
    """

    sounds: NDArray[np.float32]
    texts: NDArray[np.float32]
    dimensions: list[Dimensions]  # of each CLAP
    ratings: Values
    own: Values  # (N,) log P(text | sound)
    tokens: Values  # (N,)
    given: Values  # (R, N) log P(text | reference)
    clips: list[str]  # (R,)


def read_split(split: str, references: list[str]) -> Rated:
    """The pairs of a TARGETS table."""
    device = devices.resolve_device(params.load("device", str, PARAMS))
    clips = ClipStore(ROOT / "data/prepared")
    sources = params.load("fusion", FusionConfig, PARAMS).claps(
        params.load("encoders.clap", ClapSource, PARAMS)
    )
    stored = ROOT / "data/clap_features"
    claps = [load_stored(_locate(source), device, clips, stored) for source in sources]
    targets = tables.read_table(ROOT / f"data/targets/{split}.csv", tables.TARGETS)
    ids, texts = list(targets["wav_file_name"].map(tables.rated_clip_id)), list(targets["text"])
    features = ArrayStore(ROOT / "data/features")
    lalm = checkpoint.load_lalm(ROOT / "checkpoints/caption")
    own, tokens, given = captioner.log_likelihoods(
        lalm, gather_features(features, ids), texts, gather_features(features, references)
    )
    sounds = [encode_distinct(clip_embedder(clap, clips), ids, 32) for clap in claps]
    words = [encode_distinct(clap.embed_texts, texts, 32) for clap in claps]
    return Rated(
        sounds=np.concatenate(sounds, axis=1),
        texts=np.concatenate(words, axis=1),
        dimensions=[clap.dimensions for clap in claps],
        ratings=targets["mean_score"].to_numpy(dtype=np.float64),
        own=own,
        tokens=tokens,
        given=given,
        clips=references,
    )


def _locate(source: ClapSource) -> ClapSource:
    return replace(source, path=ROOT / source.path)


def statistics(pairs: Rated, clips: Sequence[str], config: likelihood.LikelihoodConfig) -> Values:
    """What `fusion` reads: (N, 3)."""
    rows = [pairs.clips.index(clip) for clip in clips]
    prior = np.logaddexp.reduce(pairs.given[rows], axis=0) - np.log(len(rows))
    divisors = pairs.tokens**config.length_exponent
    return np.stack([pairs.own / divisors, prior / divisors, pairs.tokens], axis=1)


def forms(values: Values, alpha: float) -> dict[str, Values]:
    """The statistics that are compared."""
    score = values[:, :1] - alpha * values[:, 1:2]
    return {
        "the likelihood member's score": score,
        "score, tokens": np.hstack([score, values[:, 2:]]),
        "given sound, given references, tokens": values,
    }


def srcc(one: Values, other: Values) -> float:
    return float(stats.spearmanr(one, other).statistic)


def fit_and_score(
    train: Rated, rows: Values, new: Rated, own: Values, config: FusionConfig
) -> Values:
    """A machine's scores of `new`, whose statistics are `own` (N, S)."""
    machine = fit_fused_machine(
        train.sounds, train.texts, train.dimensions, rows, train.ratings, config
    )
    return machine(new.sounds, new.texts, own)


def part(pairs: Rated, rows: NDArray[np.int64]) -> Rated:
    return replace(
        pairs, sounds=pairs.sounds[rows], texts=pairs.texts[rows], ratings=pairs.ratings[rows]
    )


def print_choice() -> None:
    """Five folds of training / validation / ensemble on validation, cross-fitted."""
    config = params.load("likelihood", likelihood.LikelihoodConfig, PARAMS)
    fusion = params.load("fusion", FusionConfig, PARAMS)
    sets = {seed: _references(replace(config, seed=seed)) for seed in SEEDS}
    clips = sorted({clip for some in sets.values() for clip in some})
    train, validation = read_split("train", clips), read_split("validation", clips)
    others = _validation_panel()
    print(f"without the captioner: {_baseline(train, validation)}\n")
    print("| statistics | " + " | ".join(f"weight {weight}" for weight in WEIGHTS) + " |")
    print("|---" * (1 + len(WEIGHTS)) + "|")
    for name in forms(statistics(train, sets[1], config), config.alpha):
        cells = []
        for weight in WEIGHTS:
            changed = replace(fusion, likelihood_weight=weight)
            results = []
            for seed in SEEDS:
                rows, new = (
                    forms(statistics(pairs, sets[seed], config), config.alpha)[name]
                    for pairs in (train, validation)
                )
                scores = fit_and_score(train, rows, validation, new, changed)
                together = crossfit_srcc({**others, "fusion": scores}, validation.ratings)
                folds = _crossvalidate(train, rows, changed) if seed == SEEDS[0] else np.nan
                results.append((folds, srcc(scores, validation.ratings), together))
            folds, *columns = np.array(results).T
            halves = [f"{column.mean():.3f} ± {np.ptp(column) / 2:.3f}" for column in columns]
            cells.append(f"{folds[0]:.3f} / " + " / ".join(halves))
        print(f"| {name} | " + " | ".join(cells) + " |")


def crossfit_srcc(columns: dict[str, Values], ratings: Values) -> float:
    """SRCC of an ensemble whose weights never saw the pair."""
    config = _ensemble_config(columns)
    pairs = RatedScores(scores=np.stack(list(columns.values()), 1), rating=ratings)
    return srcc(crossfit.crossfit(pairs, config).scores, ratings)


def _ensemble_config(names: Sequence[str] | dict[str, Values]) -> ensemble.EnsembleConfig:
    config = params.load("ensemble", ensemble.EnsembleConfig, PARAMS)
    zero = tuple(name for name in config.zero_weight if name in names)
    return replace(config, members={name: name for name in names}, zero_weight=zero)


def _references(config: likelihood.LikelihoodConfig) -> list[str]:
    clips = tables.read_table(ROOT / "data/prepared/clips.parquet", tables.CLIPS)
    captions = tables.read_table(ROOT / "data/prepared/captions.parquet", tables.CAPTIONS)
    captioned = clips["clip_id"].isin(captions["clip_id"]) & (clips["split"] == "train")
    ids = clips["clip_id"][captioned].tolist()
    return select_references(ArrayStore(ROOT / "data/features"), ids, config)


def _validation_panel() -> dict[str, Values]:
    """The other members' scores of validation, in the order of its targets."""
    members = params.load("ensemble.members", dict[str, str], PARAMS)
    names = [name for name in members if name != "fusion"]
    scores = panel.read_panel(ROOT / "data/predictions/members", names, "validation")
    targets = tables.read_table(ROOT / "data/targets/validation.csv", tables.TARGETS)
    rows = scores.set_index("wav_file_name").loc[targets["wav_file_name"]]
    return {name: rows[name].to_numpy(dtype=np.float64) for name in names}


def _baseline(train: Rated, validation: Rated) -> str:
    config = params.load("regress", RegressionConfig, PARAMS)
    held_out = np.empty(len(train.ratings))
    for rows, rest in KFold(FOLDS, shuffle=True, random_state=0).split(train.ratings):
        some = part(train, rows)
        machine = fit_kernel_machine(some.sounds, some.texts, some.dimensions, some.ratings, config)
        held_out[rest] = machine(train.sounds[rest], train.texts[rest])
    machine = fit_kernel_machine(train.sounds, train.texts, train.dimensions, train.ratings, config)
    scores = machine(validation.sounds, validation.texts)
    without = crossfit_srcc(_validation_panel(), validation.ratings)
    return (
        f"{srcc(held_out, train.ratings):.3f} / {srcc(scores, validation.ratings):.3f} / "
        f"{without:.3f}"
    )


def _crossvalidate(train: Rated, rows: Values, config: FusionConfig) -> float:
    held_out = np.empty(len(train.ratings))
    for fold, rest in KFold(FOLDS, shuffle=True, random_state=0).split(train.ratings):
        new = part(train, rest)
        held_out[rest] = fit_and_score(part(train, fold), rows[fold], new, rows[rest], config)
    return srcc(held_out, train.ratings)


def score_test() -> tuple[dict[str, Values], Values]:
    """Scores of test by members and by ensembles with weights of validation; mean ratings (N,)."""
    names = list(params.load("ensemble.members", dict[str, str], PARAMS))
    folder = ROOT / "data/predictions/members"
    validation, test = (panel.read_panel(folder, names, s) for s in ("validation", "test"))
    targets = tables.read_table(ROOT / "data/targets/validation.csv", tables.TARGETS)
    rated = tables.read_table(ROOT / "data/prepared/rated.parquet", tables.RATED)
    ratings = tables.read_table(ROOT / "data/test_labels/ratings.parquet", tables.RATINGS)
    means = ratings.groupby("wav_file_name")["score"].mean()
    truth = means[test["wav_file_name"]].to_numpy(dtype=np.float64)
    columns = {name: test[name].to_numpy(dtype=np.float64) for name in names}
    for label, chosen in (
        ("ensemble", names),
        ("ensemble without fusion", [name for name in names if name != "fusion"]),
        ("ensemble without language model", ["clapscore", "zeroshot", "regress"]),
    ):
        pairs = panel.rated_scores(validation, targets, rated, chosen)
        fitted = crossfit.fit(pairs, _ensemble_config(chosen))
        columns[label] = panel.blend_panel(test, fitted)["pred_score"].to_numpy(dtype=np.float64)
    return columns, truth


def print_test() -> None:
    """Members and ensembles on test, and how much higher `fusion` lies."""
    columns, truth = score_test()
    scores = np.stack(list(columns.values()), axis=1)
    draws = significance.bootstrap(scores, truth, resamples=RESAMPLES, seed=0).srcc
    print("| system | SRCC | 95 % over pairs | fusion minus it |\n|---|---|---|---|")
    reference = list(columns).index("fusion")
    for k, (name, column) in enumerate(columns.items()):
        low, high = resampling.interval(draws[:, k], 0.95)
        less, more = resampling.interval(draws[:, reference] - draws[:, k], 0.95)
        difference = srcc(columns["fusion"], truth) - srcc(column, truth)
        cell = "" if name == "fusion" else f"{difference:+.3f} [{less:+.3f}, {more:+.3f}]"
        print(f"| {name} | {srcc(column, truth):.3f} | [{low:.3f}, {high:.3f}] | {cell} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The captioner inside the regressor.")
    parser.add_argument("what", choices=["choose", "test"])
    {"choose": print_choice, "test": print_test}[parser.parse_args().what]()
