"""Why the trained language model is a weak member, and what other pseudo-labels make of it.

    python benchmarks/pretraining.py diagnose | train VARIANT ... | table [--seeds 1 2 3] [--test]

`diagnose` takes seconds: forward passes and closed forms on what `dvc repro` has built. `train`
runs `pretrain` with other settings, pseudo-labels or starts, minutes per seed, into
work/pretraining/. `table` compares what was trained, with intervals over seeds and pairs; test is
read with --test alone. All ratings are SIMULATED.
P = pairs, S = statistics of the captioner, H = width of the language model.
"""

import argparse
import dataclasses
import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
import pandas as pd
import seed_intervals
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from soundjudge import params
from soundjudge.clap.clapscore.clapscore import load_clapscore
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.labels.pairs import negatives, pseudolabels
from soundjudge.labels.texts.text_overlap import normalize_texts
from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.likelihood import Likelihood, load_likelihood
from soundjudge.training.lalm.training_pairs import (
    TrainingPairs,
    gather_features,
    make_pairs,
    predict_scores,
)
from soundjudge.training.lalm.warm_start import initialize_lalm
from soundjudge.training.pretrain import pretrain
from soundjudge.training.pretrain.teacher import LikelihoodTeacher, blend_likelihood

ROOT = Path(__file__).resolve().parents[1]
PREPARED, CAPTION = ROOT / "data/prepared", ROOT / "checkpoints/caption"
WORK = ROOT / "work/pretraining"
CPU = torch.device("cpu")
BATCH = 128  # pairs per forward pass
Values = NDArray[np.float64]


class Variant(NamedTuple):
    """What is trained otherwise than the sample does."""

    num_random: int | None = None  # pseudolabel.num_random and num_hard; None = as they are
    num_hard: int | None = None
    optimization: Mapping[str, float | None] = {}  # keys of pretrain.training.optimization
    likelihood_weight: float = 0.0  # of the captioner's likelihood in the teacher, against CLAP
    num_silent: float = 0.0
    start: Path | None = CAPTION  # the model that it starts from; None = encoders.llm


VARIANTS = {
    "present": Variant(),
    "without the average": Variant(optimization={"ema_decay": None}),
    "former settings": Variant(  # up to version 0.2.0
        optimization={"learning_rate": 1e-3, "epochs": 5, "warmup_steps": 20, "ema_decay": None}
    ),
    "11 negatives": Variant(num_random=8, num_hard=3, optimization={"epochs": 2}),
    "23 negatives": Variant(num_random=18, num_hard=5, optimization={"epochs": 1}),
    "teacher CLAP + likelihood": Variant(likelihood_weight=0.5),
    "silent pairs .05": Variant(num_silent=0.05),
    "without captioning": Variant(start=None),
    "after contrast": Variant(start=ROOT / "work/contrast/seed-1"),  # of contrast.py
}


class Sample:
    """The tables and stores of the repository, as `dvc repro` has left them."""

    def __init__(self) -> None:
        self.features = ArrayStore(ROOT / "data/features")
        self.clips = tables.read_table(PREPARED / "clips.parquet", tables.CLIPS)
        self.captions = tables.read_table(PREPARED / "captions.parquet", tables.CAPTIONS)
        self.labels = tables.read_table(ROOT / "data/pseudo/pairs.parquet", tables.PAIRS)
        self.sounds = ArrayStore(ROOT / "data/embeddings/clips")
        self.texts = ArrayStore(ROOT / "data/embeddings/captions")

    def pseudolabels(self, variant: Variant) -> pd.DataFrame:
        """The PAIRS of a variant."""
        config = params.load("pseudolabel", negatives.NegativeConfig, ROOT / "params.yaml")
        labels = self.labels
        if variant.num_random is not None and variant.num_hard is not None:
            changes = {"num_random": variant.num_random, "num_hard": variant.num_hard}
            changed = dataclasses.replace(config, **changes)
            captions = self.captions.assign(words=normalize_texts(self.captions["text"]))
            pairs = negatives.build_pairs(captions, self.clips, self.texts, changed, CPU)
            labels = pseudolabels.score_pairs(pairs, self.sounds, self.texts)
        if variant.likelihood_weight:
            labels = self.blend(labels, variant.likelihood_weight)
        return pseudolabels.add_silent_pairs(labels, self.clips, variant.num_silent, config.seed)

    def blend(self, labels: pd.DataFrame, weight: float) -> pd.DataFrame:
        """The labels of CLAP and the captioner of `dvc repro` together."""
        data = self.captions, self.clips, self.features, checkpoint.load_lalm(CAPTION)
        config = params.load("pretrain.training", pretrain.PretrainConfig, ROOT / "params.yaml")
        both = dataclasses.replace(config, likelihood=LikelihoodTeacher(weight=weight))
        return blend_likelihood(labels, *data, both)

    def rated_pairs(self, split: str) -> tuple[TrainingPairs, Values]:
        """A rated split with the listeners' mean ratings (P,)."""
        if split == "test":
            ratings = tables.read_table(ROOT / "data/test_labels/ratings.parquet", tables.RATINGS)
            means = ratings.groupby("wav_file_name")["score"].mean()
        else:
            targets = tables.read_table(ROOT / f"data/targets/{split}.csv", tables.TARGETS)
            means = targets.set_index("wav_file_name")["mean_score"]
        rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
        rated = rated[rated["split"] == split]
        scores = means[rated["wav_file_name"]].to_numpy(dtype=np.float64)
        clip_ids = rated["wav_file_name"].map(tables.rated_clip_id)
        return make_pairs(clip_ids, rated["text"], scores), scores


@torch.no_grad()
def evidence(
    member: Likelihood, features: ArrayStore, clip_ids: list[str], texts: list[str]
) -> Values:
    """What the likelihood of pairs is made of: (P, S)."""
    priors, parts = member.log_priors(texts), []
    for start in range(0, len(texts), BATCH):
        rows = slice(start, start + BATCH)
        sounds = gather_features(features, clip_ids[rows]).float()
        parts.append(member.evidence(sounds, texts[rows], priors[rows]))
    return torch.cat(parts).double().numpy()


def train(sample: Sample, name: str, seed: int) -> None:
    """Trains a variant with a seed, unless that is done, and keeps its scores of rated pairs."""
    folder, variant = WORK / f"{name}-{seed}", VARIANTS[name]
    if (folder / "scores.npz").is_file():
        return
    config = params.load("pretrain.training", pretrain.PretrainConfig, ROOT / "params.yaml")
    steps = dataclasses.replace(config.optimization, **variant.optimization)
    config = dataclasses.replace(config, optimization=steps)
    member = params.build(
        pretrain.PretrainMember,
        {"seed": seed, "warm_start": "caption" if variant.start else "none"},
        name,
    )
    torch.manual_seed(seed)
    llm = ROOT / params.load("encoders.llm", Path, ROOT / "params.yaml")
    lalm = initialize_lalm(variant.start, reference=CAPTION, llm=llm)
    pairs, held_out = (
        pretrain.select_pseudolabeled(labels, sample.captions, sample.clips, [split], split)
        for labels, split in (
            (sample.pseudolabels(variant), "train"),
            (sample.labels, "validation"),  # the same for all variants
        )
    )
    with tempfile.TemporaryDirectory() as work:
        result = pretrain.train(
            lalm, sample.features, pairs, held_out, config, member, work=Path(work), device="cpu"
        )
    checkpoint.save_lalm(folder / "checkpoint", lalm, "", {"epoch": result.best_epoch})
    scores = {
        split: predict_scores(lalm, sample.features, sample.rated_pairs(split)[0], BATCH)
        for split in ("train", "validation", "test")
    }
    (folder / "teacher.json").write_text(json.dumps(result.best_value))
    np.savez(folder / "scores.npz", **scores)


def print_table(sample: Sample, seeds: list[int], *, test: bool) -> None:
    """SRCC of every variant that is trained: each seed's, mean, deviation and interval."""
    splits = ["train", "validation", *(["test"] if test else [])]
    truths = {split: sample.rated_pairs(split)[1] for split in splits}
    print("| variant | seeds | teacher | " + " | ".join(splits) + " |")
    print("|---" * (3 + len(splits)) + "|")
    for name in VARIANTS:
        done = [s for s in seeds if (WORK / f"{name}-{s}/scores.npz").is_file()]
        if not done:
            continue
        folders = [WORK / f"{name}-{seed}" for seed in done]
        taught = [json.loads((folder / "teacher.json").read_text()) for folder in folders]
        cells = [f"{mean(taught):.3f}" + (f" ± {stdev(taught):.3f}" if len(taught) > 1 else "")]
        stored = [np.load(folder / "scores.npz") for folder in folders]
        for split in splits:
            scores = [one[split] for one in stored]
            values = [srcc(score, truths[split]) for score in scores]
            listed = ", ".join(f"{value:.3f}" for value in values)
            draws = seed_intervals.srcc_draws(scores, truths[split])
            cells.append(f"{listed}: {seed_intervals.cell(values, draws)}")
        print(f"| {name} | {', '.join(map(str, done))} | " + " | ".join(cells) + " |")


def diagnose(sample: Sample) -> None:
    """What the student knows beyond its teacher, what it learned by heart, and its ingredients."""
    lalm = checkpoint.load_lalm(ROOT / "checkpoints/pretrain/captioned")
    clap = load_clapscore(ROOT / "checkpoints/clapscore", CPU).clap
    store = ClipStore(PREPARED)
    project = fit_projection(sample)
    member = load_likelihood(ROOT / "checkpoints/likelihood", CPU)
    print_by_heart(sample, lalm)
    inputs: dict[str, tuple[Values, Values]] = {}
    for split in ("train", "validation"):
        pairs, ratings = sample.rated_pairs(split)
        rows = np.arange(len(pairs))
        clip_ids, texts = pairs.clip_ids_of(rows), pairs.texts_of(rows)
        with torch.no_grad():
            words = unit(torch.cat([clap.embed_texts(part) for part in batches(texts)]).numpy())
            waves = ([store.wave(clip) for clip in part] for part in batches(clip_ids))
            sounds = unit(torch.cat([clap.embed_sounds(part) for part in waves]).numpy())
        teacher = (sounds * words).sum(axis=1)
        student = predict_scores(lalm, sample.features, pairs, BATCH)
        closed = (unit(project(clip_ids)) * words).sum(axis=1)
        print_correlations(split, ratings, teacher, student, closed)
        likely = evidence(member, sample.features, clip_ids, texts)
        states = hidden_states(lalm, sample.features, pairs)
        inputs[split] = np.column_stack([student, likely, states]), ratings
    hidden = [0, *range(4, inputs["train"][0].shape[1])]
    for name, columns in {
        "score": [0],
        "evidence": [1, 2, 3],
        "score, evidence": [0, 1, 2, 3],
        "score, hidden state": hidden,
        "score, hidden state, evidence": [*hidden, 1, 2, 3],
    }.items():
        machine = make_pipeline(StandardScaler(), SVR(C=0.5, epsilon=0.08))
        machine.fit(inputs["train"][0][:, columns], inputs["train"][1] / 5 - 1)
        predicted = machine.predict(inputs["validation"][0][:, columns])
        value = srcc(predicted, inputs["validation"][1])
        print(f"kernel machine on ratings, {name}: validation {value:.3f}")


def print_correlations(
    split: str, ratings: Values, teacher: Values, student: Values, closed: Values
) -> None:
    """SRCC with listeners, its interval over pairs, and what the student knows of its own."""
    columns = {
        "teacher": teacher,
        "student": student,
        "encoder's features projected on CLAP in closed form": closed,
    }
    for name, scores in columns.items():
        draws = seed_intervals.srcc_draws([scores], ratings)
        print(f"| {split} | {name} | {seed_intervals.cell([srcc(scores, ratings)], draws)} |")
    ranks = [stats.rankdata(values) for values in (student, teacher, ratings)]
    own, truth = (residual(ranks[i], ranks[1]) for i in (0, 2))
    print(f"| {split} | student with teacher | {srcc(student, teacher):.3f} |")
    partial = np.corrcoef(own, truth)[0, 1]
    print(f"| {split} | student with listeners given the teacher | {partial:.3f} |")


@torch.no_grad()
def hidden_states(lalm: Lalm, features: ArrayStore, pairs: TrainingPairs) -> Values:
    """The language model's states at [SCORE]: (P, H)."""
    parts = []
    for start in range(0, len(pairs), BATCH):
        rows = np.arange(start, min(start + BATCH, len(pairs)))
        sequences = lalm.scoring_sequences(lalm.tokenize(pairs.texts_of(rows)))
        sounds = gather_features(features, pairs.clip_ids_of(rows))
        parts.append(lalm.hidden_states(sequences, sounds)[sequences.score_positions])
    return torch.cat(parts).double().numpy()


def print_by_heart(sample: Sample, lalm: Lalm) -> None:
    """SRCC of student and teacher on the pseudo-pairs that it learned, and on others."""
    for split in ("train", "validation"):
        pairs = pretrain.select_pseudolabeled(
            sample.labels, sample.captions, sample.clips, [split], split
        )
        scores = predict_scores(lalm, sample.features, pairs, BATCH)
        print(f"{len(pairs)} pseudo-pairs, {split}: {srcc(scores, pairs.targets):.3f}")


def fit_projection(sample: Sample) -> Callable[[list[str]], Values]:
    """A ridge regression from the encoder's pooled features to CLAP's embedding of the sound."""
    corpora = sample.clips["corpus"].isin(("audiocaps", "vggsound"))
    clips = sample.clips[corpora & (sample.clips["split"] == "train")]["clip_id"].tolist()

    def pool_features(clip_ids: list[str]) -> Values:
        stored = sample.features.gather(clip_ids)  # (P, M, D)
        return np.concatenate([stored.mean(1), stored.max(1)], 1).astype(np.float64)

    machine = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 4, 9)))
    machine.fit(pool_features(clips), unit(sample.sounds.gather(clips)))
    return lambda clip_ids: machine.predict(pool_features(clip_ids))


def batches(values: list[str]) -> list[list[str]]:
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]


def unit(vectors: NDArray[np.floating]) -> Values:
    rows: Values = np.asarray(vectors, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def residual(values: Values, given: Values) -> Values:
    return np.asarray(values - np.polyval(np.polyfit(given, values, 1), given))


def srcc(a: Values, b: Values) -> float:
    return float(stats.spearmanr(a, b).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("diagnose", "train", "table"))
    parser.add_argument("variants", nargs="*", choices=[[], *VARIANTS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--test", action="store_true")
    options = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    sample = Sample()
    if options.what == "diagnose":
        diagnose(sample)
    elif options.what == "table":
        print_table(sample, options.seeds, test=options.test)
    else:
        for seed in options.seeds:
            for name in options.variants:
                train(sample, name, seed)


if __name__ == "__main__":
    main()
