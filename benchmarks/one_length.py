"""Do the results on the sample hold where a sound's length does not tell how many events it has?

    python benchmarks/one_length.py project FOLDER
    (the command that `project` prints)
    python benchmarks/one_length.py control data/sample FOLDER/data/one_length

`project` copies the repository to FOLDER, with the frozen encoders, and composes the sample's
corpora there anew: every sound lasts SCENE_SECONDS, whatever it contains, and each event gets an
equal share of it. `control` fits a regressor on the rated training pairs of corpora that compares
nothing: it knows the form of the text, and of the sound its length and how much of it is audible.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from provenance import ROOT
from repository_copy import copy_repository
from scipy.io import wavfile
from scipy.stats import spearmanr
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from soundjudge import params
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.sample.composition import scenes, upstream
from soundjudge.sample.composition.scenes import Event, Scene, Span, Wave
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel

SCENE_SECONDS = 5.0
GAP_SECONDS = 0.25  # of silence between repetitions, and at least between events
CORPORA = Path("data/one_length")
FRAME = 800  # samples of 50 ms
JOINTS = re.compile("|".join(map(re.escape, (*scenes.THEN, *scenes.WHILE))))
COMMAND = "cd {folder} && PYTHONPATH=$PWD/src dvc repro"
Floats = NDArray[np.float64]


def render_scene(scene: Scene, rng: np.random.Generator) -> tuple[Wave, list[Span]]:
    """As `scenes.render_scene`, but SCENE_SECONDS long: (T,), and the spans of the events."""
    gap, total = int(GAP_SECONDS * SAMPLE_RATE), int(SCENE_SECONDS * SAMPLE_RATE)
    counts = [event.count for event in scene.events]
    sounds_in_a_row = sum(counts) if scene.relation == "then" else max(counts)
    longest = (total - (sounds_in_a_row + 1) * gap) // sounds_in_a_row
    sounds = [_crop(event, longest, rng) for event in scene.events]
    lengths = [n * (len(one) + gap) - gap for n, one in zip(counts, sounds, strict=True)]
    if scene.relation == "then":
        starts = _starts_in_a_row(lengths, gap, total, rng)
    else:
        first = rng.uniform(0.0, total - max(lengths))
        delays = rng.uniform(0.0, 0.3 * SAMPLE_RATE, len(lengths))
        starts = [int(min(first + d, total - n)) for d, n in zip(delays, lengths, strict=True)]
    mix = np.zeros(total, np.float32)
    spans = []
    for event, sound, start in zip(scene.events, sounds, starts, strict=True):
        for begin in range(start, start + event.count * (len(sound) + gap), len(sound) + gap):
            mix[begin : begin + len(sound)] += sound
            spans.append(Span(event, begin, begin + len(sound)))
    return mix / max(1.0, float(np.abs(mix).max()) / 0.95), spans


def _crop(event: Event, longest: int, rng: np.random.Generator) -> Wave:
    """One repetition of an event, at most `longest` samples, at a random level."""
    wave = event.recording.wave
    start = int(rng.integers(max(len(wave) - longest, 0) + 1))
    part = replace(event.recording, wave=wave[start : start + longest])
    return scenes._render_event(Event(part), rng) * rng.uniform(0.6, 1.0)


def _starts_in_a_row(
    lengths: Sequence[int], gap: int, total: int, rng: np.random.Generator
) -> list[int]:
    """Starts in samples; what is left of `total` is shared out at random around the sounds."""
    left = total - sum(lengths) - (len(lengths) - 1) * gap
    extra = rng.dirichlet(np.ones(len(lengths) + 1))[:-1] * left
    before = np.cumsum([0, *lengths[:-1]]) + np.arange(len(lengths)) * gap
    return [int(start) for start in before + np.cumsum(extra)]


def write_project(folder: Path) -> None:
    """The repository's own files, and corpora of one length that its params.yaml names."""
    copy_repository(folder)
    settings = ROOT / "data/sample/params.yaml"
    sizes = params.load("compose.sizes", upstream.Sizes, settings)
    panels = {
        split: params.load(f"compose.panels.{split}", SimulatedPanel, settings)
        for split in upstream.SPLITS
    }
    seed = yaml.safe_load(settings.read_text(encoding="utf-8"))["compose"]["seed"]
    pool = scenes.load_recordings(ROOT / "data/sample/clips")
    scenes.render_scene = render_scene
    scenes.EVENT_SECONDS = SCENE_SECONDS  # what an event is cropped to besides its share
    upstream.write_audiocaps(pool, sizes.audiocaps, folder / CORPORA / "audiocaps", seed)
    upstream.write_vggsound(pool, sizes.vggsound, folder / CORPORA / "vggsound", seed)
    upstream.write_xacle(pool, sizes.xacle, panels, folder / CORPORA / "xacle", seed)
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    for corpus in ("xacle", "audiocaps", "vggsound"):
        text = text.replace(f"{corpus}: data/sample/", f"{corpus}: {CORPORA}/")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    print(COMMAND.format(folder=folder))


def text_form(text: str) -> list[float]:
    """Numbers that say nothing of what a text is about."""
    words = text.split()
    together = any(one.strip() in text for one in scenes.WHILE)
    repeats = [text.count(times) for times in scenes.TIMES.values() if times]
    return [len(JOINTS.split(text)), together, *repeats, len(words), len(text)]


def audible(path: Path) -> list[float]:
    """Seconds of the sound; its audible seconds, their share, and in how many runs they are."""
    rate, samples = wavfile.read(path)
    frames = (samples[: len(samples) // FRAME * FRAME] / 32768).reshape(-1, FRAME)
    level = np.sqrt((frames**2).mean(axis=1))
    loud = level > 0.15 * np.quantile(level, 0.95)
    runs = int((np.diff(np.r_[0, loud.astype(int)]) == 1).sum())
    return [len(samples) / rate, loud.sum() * FRAME / rate, float(loud.mean()), runs]


def print_control(corpora: Path) -> None:
    """SRCC with the simulated ratings of regressors that never compare a sound and a text."""
    parts = {}
    for split in upstream.SPLITS:
        table = pd.read_csv(corpora / f"xacle/meta_data/{split}_average.csv")
        sounds = [audible(corpora / "xacle/wav" / split / name) for name in table.wav_file_name]
        columns = np.column_stack([[text_form(one) for one in table.text], sounds])
        parts[split] = columns.astype(float), table.average_score.to_numpy()
    forms = len(text_form("a dog barks"))
    for name, width in (("form of the text", 0), ("and length", 1), ("and what is audible", 4)):
        machine = make_pipeline(StandardScaler(), SVR(C=0.5, epsilon=0.4))
        features, ratings = parts["train"]
        machine.fit(features[:, : forms + width], ratings)
        srcc = [
            spearmanr(machine.predict(features[:, : forms + width]), ratings)[0]
            for features, ratings in (parts["validation"], parts["test"])
        ]
        print(f"| {corpora}: {name} | " + " | ".join(f"{one:.3f}" for one in srcc) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("project").add_argument("folder", type=Path)
    parts.add_parser("control").add_argument("corpora", type=Path, nargs="+")
    options = parser.parse_args()
    if options.part == "project":
        write_project(options.folder.resolve())
        return
    print("| | validation | test |\n|---|---|---|")
    for corpora in options.corpora:
        print_control(corpora)


if __name__ == "__main__":
    main()
