"""The whole packaged default judge on recordings that no part of it ever knew.

    python benchmarks/unseen_recordings.py project FOLDER [--fold 0]
    (the commands that `project` prints)
    python benchmarks/unseen_recordings.py score FOLDER FOLDER/held_out.csv

`project` copies the repository to FOLDER without a fifth of the recordings: whole takes, a fold of
`towers_study.py`. Stand-ins, towers' projections, scenes and rated pairs are then made there of the
others alone, and so is the judge. `score` asks the judge of a folder about the recordings of any
table with the columns path, caption, label and group (of recordings that resemble each other).
Needs PYTHONPATH=checkpoints/sample and the packages of the towers. N recordings, M texts.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from towers_study import ROOT, SEED, assign_folds, interval

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.encoder import encode_distinct
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.data.audio import audio
from soundjudge.runtime import devices
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
Floats = NDArray[np.float64]
Waves = list[NDArray[np.float32]]


def write_project(folder: Path, fold: int) -> None:
    """The repository's own files, less a fold of the recordings and all that is trained."""
    clips = pd.read_csv(ROOT / CLIPS / "manifest.csv", dtype=str, keep_default_na=False)
    held_out = assign_folds(clips["group"].to_numpy(), SEED) == fold
    clips["path"] = [f"{CLIPS}/ogg/{clip}.ogg" for clip in clips["clip_id"]]
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    absent = set(map(Path, clips["path"][held_out]))
    trained = [STANDINS / name for name in TRAINED]
    for path in map(Path, listed.stdout.rstrip("\0").split("\0")):
        if path in absent or any(path.is_relative_to(one) for one in trained):
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    manifest = clips[~held_out].drop(columns="path")
    manifest.to_csv(folder / CLIPS / "manifest.csv", index=False, lineterminator="\n")
    clips["path"] = [str(ROOT / path) for path in clips["path"]]
    clips[held_out].to_csv(folder / "held_out.csv", index=False, columns=list(COLUMNS))
    subprocess.run(["dvc", "config", "--local", "core.no_scm", "true"], cwd=folder, check=True)
    print(f"{held_out.sum()} of {len(clips)} recordings are held out from {folder}")
    print(COMMANDS.format(folder=folder))


def member_scores(judge: Path, waves: Waves, texts: list[str]) -> dict[str, Floats]:
    """Scores (N, M) of all sounds with all texts by each member and by the ensemble.

    Members without weight, too, which `Judge` leaves out.
    """
    manifest = read_manifest(judge)
    loader = members.MemberLoader(
        root=judge, device=torch.device("cpu"), window_seconds=manifest.window_seconds
    )
    names = manifest.ensemble.members
    with devices.plain_arithmetic():
        loaded = [loader.member(judge / "members" / name) for name in names]
    scorer = PairScorer(loaded, CACHE_BYTES)
    prediction = PredictionConfig(window_seconds=manifest.window_seconds)
    rows = []
    for wave in waves:
        silent, prepared = manifest.prepare(wave)
        raw = scorer.window_scores([prepared] * len(texts), texts, prediction).of_pairs()
        blend = apply_ensemble(manifest.ensemble, raw, np.full(len(texts), silent))
        rows.append(np.column_stack([raw, blend]))
    columns = np.stack(rows).transpose(2, 0, 1)
    return dict(zip([*names, "**ensemble**"], columns, strict=True))


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


def print_scores(folder: Path, recordings: pd.DataFrame) -> None:
    """Captions of other labels and groups, one of them drawn, and labels as texts."""
    waves = [audio.read_audio(Path(path)) for path in recordings["path"]]
    labels, groups = recordings["label"].to_numpy(), recordings["group"].to_numpy()
    each_caption, caption = np.unique(recordings["caption"], return_inverse=True)
    each_label, label = np.unique(labels, return_inverse=True)
    texts = [*each_caption, *(f"the sound of {one.replace('_', ' ')}" for one in each_label)]
    judge = folder / "checkpoints/judge"
    scores = cosines(folder, waves, texts) | member_scores(judge, waves, texts)
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
        columns = [
            every,
            win_rates(captions, np.arange(len(waves)), one),
            (every == 1).astype(float),
            win_rates(prompts, label, of_labels),
        ]
        print(f"| {name} | " + " | ".join(interval(rates, groups) for rates in columns) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    project, score = parts.add_parser("project"), parts.add_parser("score")
    for part in (project, score):
        part.add_argument("folder", type=Path)
    project.add_argument("--fold", type=int, default=0)
    score.add_argument("recordings", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part == "project":
        write_project(options.folder, options.fold)
    else:
        print_scores(options.folder, pd.read_csv(options.recordings, dtype=str))


if __name__ == "__main__":
    main()
