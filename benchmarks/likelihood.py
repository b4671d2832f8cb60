"""The member `likelihood` on the sample: which form, and what it adds; prints Markdown.

    python benchmarks/likelihood.py [--root .] [--captioned] choose | test
    python benchmarks/likelihood.py [--root .] fresh | faults [--members clapscore ...]

`choose` compares forms on validation, `fresh` on new pairs of the validation recordings whose true
match is known, `test` measures the form of params.yaml on test, `faults` says how often a matched
pair outscores the same pair with one fault. Ensembles are without the members that hold the
captioner themselves; with --captioned `choose` and `test` have these, too. --members names the
others of `fresh`, and the columns of `faults`. Reads what `dvc repro` left under --root: trainings,
features, predictions. All ratings are SIMULATED. Log-probabilities are kept in work/likelihood/.
"""

import argparse
import hashlib
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import seed_intervals
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.audio import level
from soundjudge.data.tables import tables
from soundjudge.model.audio.audio_encoder import encode_waves, load_audio_encoder
from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood import likelihood
from soundjudge.model.likelihood.references import select_references
from soundjudge.model.likelihood.text_log_probs import text_log_probs
from soundjudge.reporting import resampling
from soundjudge.sample.composition import generators, scenes, simulated_listeners, upstream
from soundjudge.sample.composition.generators import FAULTS, GENERATORS, Generator
from soundjudge.sample.composition.scenes import Recording
from soundjudge.scoring.ensemble import crossfit, ensemble
from soundjudge.scoring.ensemble.folds import RatedScores
from soundjudge.scoring.evaluation import significance
from soundjudge.scoring.members import members, predict
from soundjudge.training.lalm.training_pairs import gather_features

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "work/likelihood"
SEEDS, SIZES, ALPHAS = (0, 1, 2), (4, 8, 16, 32), (0.0, 0.25, 0.5, 0.75, 1.0)
FRESH, SCENES = 800, {"order": 200, "missing": 200, "extra": 200, "count": 100, "wrong": 100}
RESAMPLES = 2000
OTHERS = ("clapscore", "zeroshot", "regress")  # of the ensembles of `fresh`
MEMBERS = {  # the columns of `faults` -> checkpoints
    **dict(zip(OTHERS, OTHERS, strict=True)),
    "language model, ranking": "pretrain/captioned",
    "full1": "finetune/full1",
    "likelihood": "likelihood",
    "fusion": "fusion",
}
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Pairs with all that forms are made of."""

    own: Values  # (N,) log P(text | sound)
    lengths: Values  # (N,) tokens
    given: Values  # (R, N) log P(text | reference)
    clips: list[str]  # (R,)
    rating: Values  # (N,)
    others: dict[str, Values]  # members -> (N,)


def reference_sets(root: Path) -> dict[tuple[str, int], list[str]]:
    """How they are selected, seed -> 32 clips, of which smaller sets are the first."""
    clips = tables.read_table(root / "data/prepared/clips.parquet", tables.CLIPS)
    captions = tables.read_table(root / "data/prepared/captions.parquet", tables.CAPTIONS)
    captioned = clips["clip_id"].isin(captions["clip_id"]) & (clips["split"] == "train")
    clip_ids = clips["clip_id"][captioned].tolist()
    features, result = ArrayStore(root / "data/features"), {}
    for seed in SEEDS:
        config = likelihood.LikelihoodConfig(
            num_references=max(SIZES), alpha=0.5, length_exponent=0.5, seed=seed
        )
        result["farthest", seed] = select_references(features, clip_ids, config)
        drawn = np.random.default_rng(100 + seed).permutation(len(clip_ids))[: max(SIZES)]
        result["random", seed] = [clip_ids[i] for i in drawn]
    return result


@torch.no_grad()
def log_likelihoods(
    lalm: Lalm, sounds: torch.Tensor, texts: Sequence[str], references: torch.Tensor
) -> tuple[Values, Values, Values]:
    """Of each pair (N,), their lengths (N,), and of each text given each reference (R, N)."""
    content = hashlib.sha256(repr(list(texts)).encode() + sounds.numpy().tobytes())
    content.update(references.numpy().tobytes() + str(lalm.llm.device).encode())
    content.update(next(lalm.projector.parameters()).numpy().tobytes())
    path = CACHE / f"{content.hexdigest()[:16]}.npz"
    if not path.is_file():
        own = [
            text_log_probs(lalm, sounds[i : i + 32], texts[i : i + 32])
            for i in range(0, len(texts), 32)
        ]
        distinct, columns = list(dict.fromkeys(texts)), []
        for start in range(0, len(distinct), likelihood.BATCH_TEXTS):
            batch = distinct[start : start + likelihood.BATCH_TEXTS]
            parts = [
                text_log_probs(lalm, part, batch * len(part))[0].reshape(len(part), -1)
                for part in torch.split(references, 32)
            ]
            columns.append(torch.cat(parts))
        position = {text: i for i, text in enumerate(distinct)}
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            own=torch.cat([o for o, _ in own]).double().numpy(),
            lengths=torch.cat([n for _, n in own]).double().numpy(),
            given=torch.cat(columns, 1).double().numpy()[:, [position[t] for t in texts]],
        )
    stored = np.load(path)
    return stored["own"], stored["lengths"], stored["given"]


def captioned_members() -> set[str]:
    """The members of params.yaml that hold the captioner's likelihood."""
    tuned = params.load("finetune.members", dict[str, dict[str, Any]], ROOT / "params.yaml")
    joined = {f"finetune/{name}" for name, keys in tuned.items() if keys["captioner"] != "none"}
    paths = params.load("ensemble.members", dict[str, str], ROOT / "params.yaml")
    return {name for name, path in paths.items() if path in {"likelihood", "fusion", *joined}}


def rated_pairs(root: Path, split: str, clips: list[str], captioned: bool) -> Pairs:
    """A rated split; the rating is the mean over all listeners on test, else over the screened.

    `captioned`: whether the others hold members that hold the captioner.
    """
    prepared = root / "data/prepared"
    rated = tables.read_table(prepared / "rated.parquet", tables.RATED)
    rated = rated[rated["split"] == split]
    if split == "test":
        ratings = tables.read_table(root / "data/test_labels/ratings.parquet", tables.RATINGS)
        means = ratings.groupby("wav_file_name")["score"].mean()
    else:
        targets = tables.read_table(root / f"data/targets/{split}.csv", tables.TARGETS)
        means = targets.set_index("wav_file_name")["mean_score"]
    features = ArrayStore(root / "data/features")
    sounds = gather_features(features, [tables.rated_clip_id(n) for n in rated["wav_file_name"]])
    lalm = checkpoint.load_lalm(root / "checkpoints/caption")
    references = gather_features(features, clips)
    log_probs = log_likelihoods(lalm, sounds, list(rated["text"]), references)
    left_out = {"likelihood"} if captioned else captioned_members()
    others = {}
    for folder in sorted((root / "data/predictions/members").glob("*/")):
        if folder.name not in left_out:
            scores = tables.read_table(folder / f"{split}.csv", tables.PREDICTIONS)
            others[folder.name] = scores["pred_score"].to_numpy(dtype=np.float64)
    rating = means[rated["wav_file_name"]].to_numpy(dtype=np.float64)
    return Pairs(*log_probs, clips, rating, others)


def arithmetic(pairs: Pairs, clips: list[str], alpha: float, exponent: float) -> Values:
    """The member's form."""
    rows = [pairs.clips.index(clip) for clip in clips]
    prior = logsumexp(pairs.given[rows], axis=0) - np.log(len(rows))
    return np.asarray((pairs.own - alpha * prior) / pairs.lengths**exponent)


def geometric(pairs: Pairs, clips: list[str], alpha: float, exponent: float) -> Values:
    """The mean of the logarithms in place of the logarithm of the mean."""
    rows = [pairs.clips.index(clip) for clip in clips]
    return np.asarray(
        (pairs.own - alpha * pairs.given[rows].mean(axis=0)) / pairs.lengths**exponent
    )


def cohort(pairs: Pairs, clips: list[str], alpha: float, exponent: float) -> Values:
    """Standardized by the references, as speaker verification does (Auckenthaler et al. 2000)."""
    given = pairs.given[[pairs.clips.index(clip) for clip in clips]]
    return np.asarray((pairs.own - given.mean(axis=0)) / given.std(axis=0))


def srcc(a: Values, b: Values) -> float:
    return float(stats.spearmanr(a, b).statistic)


def blend(members_scores: dict[str, Values]) -> tuple[Values, ensemble.EnsembleConfig]:
    names = {name: name for name in members_scores}
    config = ensemble.EnsembleConfig(
        members=names, method="nnls", calibration="linear", folds=10, seed=0
    )
    return np.stack(list(members_scores.values()), axis=1), config


def crossfit_scores(pairs: Pairs, score: Values | None) -> Values:
    """The ensemble whose weights never saw the pair, with a further member or without: (N,)."""
    extra = {} if score is None else {"likelihood": score}
    scores, config = blend(pairs.others | extra)
    return crossfit.crossfit(RatedScores(scores=scores, rating=pairs.rating), config).scores


def crossfit_srcc(pairs: Pairs, score: Values | None) -> float:
    """SRCC of the ensemble, cross-fitted."""
    return srcc(crossfit_scores(pairs, score), pairs.rating)


def print_chosen(pairs: Pairs, sets: dict[tuple[str, int], list[str]]) -> None:
    """The form of params.yaml with 95 % intervals over pairs and seeds of the references."""
    config = params.load("likelihood", likelihood.LikelihoodConfig, ROOT / "params.yaml")
    alone = [
        arithmetic(
            pairs,
            sets["farthest", seed][: config.num_references],
            config.alpha,
            config.length_exponent,
        )
        for seed in SEEDS
    ]
    together = [crossfit_scores(pairs, score) for score in alone]
    columns = [*alone, *together, crossfit_scores(pairs, None)]
    values = np.array([srcc(column, pairs.rating) for column in columns])
    draws = seed_intervals.srcc_draws(columns, pairs.rating)
    one, both = slice(0, len(SEEDS)), slice(len(SEEDS), -1)
    print(f"\nthe chosen form alone {seed_intervals.cell(values[one], draws[:, one])}")
    print(f"ensemble with it {seed_intervals.cell(values[both], draws[:, both])}")
    more = seed_intervals.cell(values[both] - values[-1], draws[:, both] - draws[:, -1:], "+")
    print(f"minus the ensemble without it {more}")


def print_forms(pairs: Pairs, sets: dict[tuple[str, int], list[str]]) -> None:
    """Alone / in the ensemble, means over the seeds of the references."""
    print(f"{len(pairs.rating)} pairs; ensemble without it {crossfit_srcc(pairs, None):.3f}\n")
    print("| form | exponent | references | R | " + " | ".join(f"alpha {a}" for a in ALPHAS) + " |")
    print("|---" * (4 + len(ALPHAS)) + "|")
    forms = {"arithmetic": arithmetic, "geometric": geometric, "cohort": cohort}
    for (name, form), exponent, how in itertools.product(
        forms.items(), (1.0, 0.5, 0.0), ("farthest", "random")
    ):
        if (
            name != "arithmetic"
            and (how == "random" or exponent == 0)
            or (name == "cohort" and exponent < 1)
        ):
            continue
        for size in SIZES if name == "arithmetic" and exponent else (8, 32):
            cells = []
            for alpha in ALPHAS if name != "cohort" else (1.0,):
                scores = [form(pairs, sets[how, seed][:size], alpha, exponent) for seed in SEEDS]
                alone = [srcc(score, pairs.rating) for score in scores]
                together = [crossfit_srcc(pairs, score) for score in scores]
                spread = (max(alone) - min(alone)) / 2
                cells.append(f"{np.mean(alone):.3f} ± {spread:.3f} / {np.mean(together):.3f}")
            print(f"| {name} | {exponent} | {how} | {size} | " + " | ".join(cells) + " |")


@cache
def levels() -> tuple[float, float]:
    """The level of every sound, and that of silence, in dBFS."""
    keys = ("prepare.level_dbfs", "prepare.silence_dbfs")
    own, silent = (params.load(key, float, ROOT / "params.yaml") for key in keys)
    return own, silent


def compose(
    pool: Sequence[Recording], maker: Generator, fault: generators.Fault, rng: np.random.Generator
) -> tuple[list[scenes.Wave], list[str], float]:
    """Sounds and texts of the scene that was asked for and of the one with the fault; the match."""
    asked = generators.sample_text_scene(pool, fault, rng)
    faulty = generators.generate_scene(asked, fault, pool, rng)
    words = int(rng.integers(2**32))  # equal joints where there are equally many
    texts = [scenes.write_caption(s, np.random.default_rng(words)) for s in (asked, faulty)]
    rendered = [
        generators.apply_channel(scenes.render_scene(s, rng)[0], maker, rng)
        for s in (asked, faulty)
    ]
    waves = [level.normalize_level(wave, *levels()) for wave in rendered]
    return waves, texts, simulated_listeners.match_score(faulty, asked)


def recordings(root: Path, split: str) -> list[Recording]:
    pool = scenes.load_recordings(root / "data/sample/clips")
    seed = params.load("compose.seed", int, root / "data/sample/params.yaml")
    splits = upstream.split_groups(pool, np.random.default_rng([seed, 3]))
    return [one for one in pool if splits[one.group] == split]


def score_members(
    root: Path, names: Sequence[str], waves: list[scenes.Wave], texts: list[str]
) -> dict[str, Values]:
    """Raw scores of members."""
    window = params.load("predict", predict.PredictionSection, ROOT / "params.yaml")
    loader = members.MemberLoader(
        root=root, device=torch.device("cpu"), window_seconds=window.window_seconds
    )
    loaded = [loader.member(root / "checkpoints" / MEMBERS[name]) for name in names]
    return dict(zip(names, predict.raw_scores(loaded, waves, texts, window).T, strict=True))


def fresh_pairs(root: Path, clips: list[str], others: Sequence[str]) -> Pairs:
    """New pairs of the validation recordings; their rating is the true match."""
    pool, rng = recordings(root, "validation"), np.random.default_rng(13)
    waves, texts, matches = [], [], []
    for _ in range(FRESH):
        maker = GENERATORS[int(rng.integers(4))]
        fault = FAULTS[int(rng.choice(len(FAULTS), p=maker.faults))]
        (_, wave), (text, _), match = compose(pool, maker, fault, rng)
        waves.append(wave)
        texts.append(text)
        matches.append(match)
    lalm = checkpoint.load_lalm(root / "checkpoints/caption")
    encoder = load_audio_encoder(
        root / params.load("encoders.audio", Path, ROOT / "params.yaml"), torch.device("cpu")
    )
    with torch.no_grad():
        sounds = torch.cat(
            [encode_waves(encoder, waves[i : i + 32], lalm.frontend) for i in range(0, FRESH, 32)]
        )
    references = gather_features(ArrayStore(root / "data/features"), clips)
    log_probs = log_likelihoods(lalm, sounds, texts, references)
    scores = score_members(root, others, waves, texts)
    return Pairs(*log_probs, clips, np.array(matches), scores)


def print_test(root: Path, sets: dict[tuple[str, int], list[str]], captioned: bool) -> None:
    """The form of params.yaml on test: alone, in the ensemble, beside the other members."""
    config = params.load("likelihood", likelihood.LikelihoodConfig, ROOT / "params.yaml")
    named = {seed: sets["farthest", seed][: config.num_references] for seed in SEEDS}
    clips = sorted({clip for references in named.values() for clip in references})
    validation, test = (
        rated_pairs(root, split, clips, captioned) for split in ("validation", "test")
    )
    columns: dict[str, Values] = dict(test.others)
    for seed, references in named.items():
        fits = {}
        for pairs in (validation, test):
            score = arithmetic(pairs, references, config.alpha, config.length_exponent)
            fits[pairs is test] = score
        columns[f"likelihood, seed {seed}"] = fits[True]
        columns[f"ensemble with it, seed {seed}"] = _apply_ensemble(validation, test, fits)
    columns["ensemble without"] = _apply_ensemble(validation, test, None)
    draws = significance.bootstrap(
        np.stack(list(columns.values()), axis=1), test.rating, resamples=RESAMPLES, seed=0
    ).srcc
    names = list(columns)
    print("\n| test | SRCC | 95 % | with likelihood, Spearman |\n|---|---|---|---|")
    for k, name in enumerate(names):
        low, high = resampling.interval(draws[:, k], 0.95)
        correlation = srcc(columns[name], columns["likelihood, seed 0"])
        mean = srcc(columns[name], test.rating)
        print(f"| {name} | {mean:.3f} | [{low:.3f}, {high:.3f}] | {correlation:.2f} |")
    without = names.index("ensemble without")
    for seed in SEEDS:
        difference = draws[:, names.index(f"ensemble with it, seed {seed}")] - draws[:, without]
        low, high = resampling.interval(difference, 0.95)
        print(
            f"\nseed {seed}: with minus without {difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
        )


def _apply_ensemble(validation: Pairs, test: Pairs, fits: dict[bool, Values] | None) -> Values:
    """Scores on test by weights of validation."""
    extra = {False: {}, True: {}} if fits is None else {k: {"likelihood": fits[k]} for k in fits}
    scores, config = blend(validation.others | extra[False])
    fitted = ensemble.fit_ensemble(scores, validation.rating, config)
    weights = zip(fitted.members, fitted.weights, strict=True)
    print("weights: " + ", ".join(f"{name} {weight:.2f}" for name, weight in weights))
    return ensemble.apply_ensemble(fitted, blend(test.others | extra[True])[0])


def print_faults(root: Path, members_compared: Sequence[str]) -> None:
    """How often a matched pair outscores itself with a fault, in the text or in the sound."""
    pool, rng = recordings(root, "test"), np.random.default_rng(14)
    faults, waves, texts = [], [], []
    for fault, count in SCENES.items():
        for _ in range(count):
            maker = GENERATORS[int(rng.integers(len(GENERATORS)))]
            (sound, faulty_sound), (text, faulty_text), _ = compose(pool, maker, fault, rng)
            faults.append(fault)
            waves += [sound, sound, faulty_sound]
            texts += [text, faulty_text, text]
    columns = score_members(root, members_compared, waves, texts)
    scores = {name: column.reshape(-1, 3) for name, column in columns.items()}
    print(
        "| fault | of | scenes | " + " | ".join(scores) + " |\n" + "|---" * (3 + len(scores)) + "|"
    )
    for fault, (column, where) in itertools.product(SCENES, ((1, "text"), (2, "sound"))):
        rows = np.array(faults) == fault
        cells = []
        for score in scores.values():
            wins = int((score[rows, 0] > score[rows, column]).sum())
            interval = stats.binomtest(wins, int(rows.sum())).proportion_ci(method="wilson")
            cells.append(f"{wins / rows.sum():.2f} [{interval.low:.2f}, {interval.high:.2f}]")
        print(f"| {fault} | {where} | {rows.sum()} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("choose", "fresh", "test", "faults"))
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument(
        "--captioned", action="store_true", help="ensembles have what holds the captioner, too"
    )
    parser.add_argument("--members", nargs="+", choices=MEMBERS)
    arguments = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    root, sets = arguments.root, reference_sets(arguments.root)
    clips = sorted({clip for some in sets.values() for clip in some})
    if arguments.what in ("choose", "fresh"):
        pairs = (
            rated_pairs(root, "validation", clips, arguments.captioned)
            if arguments.what == "choose"
            else fresh_pairs(root, clips, arguments.members or OTHERS)
        )
        print_forms(pairs, sets)
        print_chosen(pairs, sets)
    elif arguments.what == "test":
        print_test(root, sets, arguments.captioned)
    else:
        print_faults(root, arguments.members or list(MEMBERS))


if __name__ == "__main__":
    main()
