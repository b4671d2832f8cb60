"""The whole packaged default judge on recordings that no part of it ever knew.

    python benchmarks/unseen_recordings.py project FOLDER [--fold 0]
    (the commands that `project` prints)
    python benchmarks/unseen_recordings.py score FOLDER FOLDER/held_out.csv
    python benchmarks/unseen_recordings.py rate FOLDER FOLDER/held_out.csv

`project` copies the repository to FOLDER without a fifth of the recordings: whole takes, a fold of
`towers_study.py`. Stand-ins, towers' projections, scenes and rated pairs are then made there of the
others alone, and so is the judge. `score` asks the judge of a folder about the recordings of any
table with the columns path, caption, label and group (of recordings that resemble each other).
`rate` composes rated pairs of those recordings alone, as the sample does, and tells how each member
and each weight of zeroshot agrees with the simulated ratings.
Needs PYTHONPATH=checkpoints/sample and the packages of the towers. N recordings, M texts.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from repository_copy import copy_repository
from scipy.stats import spearmanr
from towers_study import ROOT, SEED, assign_folds, interval

from soundjudge import params
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.encoder import encode_distinct
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.data.audio import audio
from soundjudge.runtime import devices
from soundjudge.sample.composition import generators, scenes, simulated_listeners
from soundjudge.sample.composition.generators import FAULTS, GENERATORS
from soundjudge.sample.composition.scenes import Recording
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel
from soundjudge.scoring.ensemble.ensemble import apply_ensemble
from soundjudge.scoring.judge.manifest import read_manifest
from soundjudge.scoring.members import members
from soundjudge.scoring.members.pair_scorer import PairScorer
from soundjudge.scoring.members.windows import PredictionConfig

CLIPS = Path("data/sample/clips")
STANDINS = Path("checkpoints/sample")
COLUMNS = ("path", "caption", "label", "group")
TRAINED = ("beats.pt", "clap", "llm", "towers")
COMMANDS = """cd {folder} && export PYTHONPATH=$PWD/src
(cd checkpoints/sample && python standin_beats.py && python standin_clap.py \\
    && python standin_llm.py && python sample_towers.py)
dvc commit --force checkpoints/sample/dvc.yaml && dvc repro"""
CACHE_BYTES = 2**30  # of encoded sounds and texts
ENSEMBLE = "**ensemble**"
PAIRS = 400  # that `rate` composes
Floats = NDArray[np.float64]
Waves = list[NDArray[np.float32]]
Scorer = Callable[[Waves, Sequence[str]], Floats]


def write_project(folder: Path, fold: int) -> None:
    """The repository's own files, less a fold of the recordings and all that is trained."""
    clips = pd.read_csv(ROOT / CLIPS / "manifest.csv", dtype=str, keep_default_na=False)
    held_out = assign_folds(clips["group"].to_numpy(), SEED) == fold
    clips["path"] = [f"{CLIPS}/ogg/{clip}.ogg" for clip in clips["clip_id"]]
    absent = set(map(Path, clips["path"][held_out]))
    trained = [STANDINS / name for name in TRAINED]

    def keep(path: Path) -> bool:
        return path not in absent and not any(path.is_relative_to(one) for one in trained)

    copy_repository(folder, keep)
    manifest = clips[~held_out].drop(columns="path")
    manifest.to_csv(folder / CLIPS / "manifest.csv", index=False, lineterminator="\n")
    clips["path"] = [str(ROOT / path) for path in clips["path"]]
    clips[held_out].to_csv(folder / "held_out.csv", index=False, columns=list(COLUMNS))
    print(f"{held_out.sum()} of {len(clips)} recordings are held out from {folder}")
    print(COMMANDS.format(folder=folder))


def load_scorer(judge: Path, without: Sequence[str] = ()) -> tuple[list[str], Scorer]:
    """Names of members and ensemble (K), and what scores pairs of sounds and texts: (N, K).

    Members of weight 0, too, which `Judge` leaves out; not those of `without`.
    """
    manifest = read_manifest(judge)
    loader = members.MemberLoader(
        root=judge, device=torch.device("cpu"), window_seconds=manifest.window_seconds
    )
    blend = manifest.ensemble
    names = [name for name in blend.members if name not in without]
    weights = dict(zip(blend.members, blend.weights, strict=True))
    assert not any(weights[name] for name in without), "only members of weight 0 can be left out"
    columns = [blend.members.index(name) for name in names]
    with devices.plain_arithmetic():
        loaded = [loader.member(judge / "members" / name) for name in names]
    scorer = PairScorer(loaded, CACHE_BYTES)
    prediction = PredictionConfig(window_seconds=manifest.window_seconds)

    def score(waves: Waves, texts: Sequence[str]) -> Floats:
        prepared = [manifest.prepare(wave) for wave in waves]
        raw = scorer.window_scores([wave for _, wave in prepared], texts, prediction).of_pairs()
        every = np.tile(np.asarray(blend.mean), (len(texts), 1))
        every[:, columns] = raw
        scores = apply_ensemble(blend, every, np.array([silent for silent, _ in prepared]))
        return np.column_stack([raw, scores])

    return [*names, ENSEMBLE], score


def member_scores(
    judge: Path, waves: Waves, texts: list[str], without: Sequence[str] = ()
) -> dict[str, Floats]:
    """Scores (N, M) of all sounds with all texts by each member and by the ensemble."""
    names, score = load_scorer(judge, without)
    rows = [score([wave] * len(texts), texts) for wave in waves]
    return dict(zip(names, np.stack(rows).transpose(2, 0, 1), strict=True))


def cosines(folder: Path, waves: Waves, texts: list[str]) -> dict[str, Floats]:
    """Cosines (N, M) of the two frozen encoders that members read."""
    scores = {}
    for name in ("clap", "towers"):
        encoder = checkpoints.load_encoder(ClapSource(folder / STANDINS / name), "cpu")
        with torch.inference_mode():
            sounds = torch.cat([encoder.embed_sounds([wave]) for wave in waves]).numpy()
        scores[f"cosine of `{name}` alone"] = sounds @ encode_distinct(
            encoder.embed_texts, texts, 32
        ).T.astype(np.float64)
    return scores


def win_rates(scores: Floats, own: NDArray[np.int64], differ: NDArray[np.bool_]) -> Floats:
    """Per sound: the share of texts that `differ` (N, M) which its `own` one beats; ties half."""
    matched = np.take_along_axis(scores, own[:, None], axis=1)
    wins = (scores < matched) + 0.5 * (scores == matched)
    rates: Floats = (wins * differ).sum(axis=1) / differ.sum(axis=1)
    return rates


def print_scores(folder: Path, recordings: pd.DataFrame, without: Sequence[str]) -> None:
    """Captions of other labels and groups, one of them drawn, and labels as texts."""
    waves = [audio.read_audio(Path(path)) for path in recordings["path"]]
    labels, groups = recordings["label"].to_numpy(), recordings["group"].to_numpy()
    each_caption, caption = np.unique(recordings["caption"], return_inverse=True)
    each_label, label = np.unique(labels, return_inverse=True)
    texts = [*each_caption, *(f"the sound of {one.replace('_', ' ')}" for one in each_label)]
    judge = folder / "checkpoints/judge"
    scores = cosines(folder, waves, texts) | member_scores(judge, waves, texts, without)
    differ = (labels[:, None] != labels) & (groups[:, None] != groups)
    one = np.zeros_like(differ)
    rng = np.random.default_rng(SEED)
    for row, columns in enumerate(map(np.flatnonzero, differ)):
        one[row, rng.choice(columns)] = True
    print(
        f"{read_manifest(judge).score_id}, {len(waves)} recordings of {len(set(groups))} groups\n"
    )
    print("| | all mismatched captions | one drawn | every one beaten | labels as texts |")
    print("|---|---|---|---|---|")
    of_labels = np.arange(len(each_label)) != label[:, None]
    for name, values in scores.items():
        captions, prompts = values[:, caption], values[:, len(each_caption) :]
        every = win_rates(captions, np.arange(len(waves)), differ)
        rates = [
            every,
            win_rates(captions, np.arange(len(waves)), one),
            (every == 1).astype(float),
            win_rates(prompts, label, of_labels),
        ]
        print(f"| {name} | " + " | ".join(interval(each, groups) for each in rates) + " |")


def rated_scenes(recordings: pd.DataFrame) -> tuple[Waves, list[str], Floats]:
    """Sounds and texts of PAIRS pairs of all generators, and mean ratings of a simulated panel."""
    pool = [
        Recording(
            clip_id=row["path"],
            caption=row["caption"],
            label=row["label"],
            group=row["group"],
            wave=audio.read_audio(Path(row["path"])),
        )
        for row in recordings.to_dict("records")
    ]
    rng = np.random.default_rng([SEED, 21])
    waves: Waves = []
    texts: list[str] = []
    matches: list[float] = []
    for _ in range(PAIRS):
        system = GENERATORS[int(rng.integers(len(GENERATORS)))]
        fault = FAULTS[int(rng.choice(len(FAULTS), p=system.faults))]
        scene = generators.sample_text_scene(pool, fault, rng)
        generated = generators.generate_scene(scene, fault, pool, rng)
        wave, _ = scenes.render_scene(generated, rng)
        texts.append(scenes.write_caption(scene, rng))
        waves.append(generators.apply_channel(wave, system, rng))
        matches.append(simulated_listeners.match_score(generated, scene))
    panel = params.load("compose.panels.test", SimulatedPanel, ROOT / "data/sample/params.yaml")
    ratings = simulated_listeners.simulate_ratings(np.array(matches), panel, "sim", rng)
    scores = np.array([score for _, _, score in ratings], dtype=float).reshape(PAIRS, -1)
    return waves, texts, scores.mean(axis=1)


def print_agreement(folder: Path, recordings: pd.DataFrame, without: Sequence[str]) -> None:
    """SRCC with the ratings, 95 % over pairs, of members and of fusion with zeroshot."""
    waves, texts, ratings = rated_scenes(recordings)
    names, score = load_scorer(folder / "checkpoints/judge", without)
    parts = [slice(start, start + 20) for start in range(0, PAIRS, 20)]
    each = np.concatenate([score(waves[part], texts[part]) for part in parts])
    scores = dict(zip(names, each.T, strict=True))
    blend = read_manifest(folder / "checkpoints/judge").ensemble
    scale = dict(zip(blend.members, zip(blend.mean, blend.std, strict=True), strict=True))
    z, f = ((scores[name] - scale[name][0]) / scale[name][1] for name in ("zeroshot", "fusion"))
    for weight in (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5):
        scores[f"fusion with {weight:g} zeroshot"] = (1 - weight) * f + weight * z
    draws = np.random.default_rng(SEED).integers(PAIRS, size=(1000, PAIRS))
    print("| | SRCC |\n|---|---|")
    for name, values in scores.items():
        resampled = [spearmanr(values[rows], ratings[rows])[0] for rows in draws]
        low, high = np.quantile(resampled, [0.025, 0.975])
        print(f"| {name} | {spearmanr(values, ratings)[0]:.3f} [{low:.3f}, {high:.3f}] |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    project, score, rate = (parts.add_parser(name) for name in ("project", "score", "rate"))
    for part in (project, score, rate):
        part.add_argument("folder", type=Path)
    project.add_argument("--fold", type=int, default=0)
    for part in (score, rate):
        part.add_argument("recordings", type=Path)
        part.add_argument("--without", nargs="*", default=[], help="members of weight 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part == "project":
        write_project(options.folder, options.fold)
    else:
        recordings = pd.read_csv(options.recordings, dtype=str)
        write = print_scores if options.part == "score" else print_agreement
        write(options.folder, recordings, options.without)


if __name__ == "__main__":
    main()
