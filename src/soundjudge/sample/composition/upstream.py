"""The sample in the exact layouts of AudioCaps, VGGSound and XACLE downloads.

Sounds are composed from real recordings; the ids are invented, the ratings are simulated.
"""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.sample.composition import generators, scenes, simulated_listeners
from soundjudge.sample.composition.generators import FAULTS, GENERATORS, Generator
from soundjudge.sample.composition.scenes import Recording, Wave
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel

NOTICE = (
    "Made from real recordings (see data/sample/clips/ATTRIBUTION.md) by data/sample/dvc.yaml.\n"
    "Ids are made up. Ratings, where there are any, are SIMULATED: nobody rated these sounds.\n"
)
SPLITS = ("train", "validation", "test")
FRACTIONS = (0.6, 0.15, 0.25)  # of each label's recording groups, in the order of SPLITS


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The number of sounds of each corpus, in the order train, validation, test."""

    audiocaps: tuple[int, ...]
    vggsound: tuple[int, ...]  # train, test
    xacle: tuple[int, ...]


def write_audiocaps(
    pool: Sequence[Recording], sizes: Sequence[int], folder: Path, seed: int
) -> None:
    """AudioCaps: one caption per sound in train, five in the others (Kim et al. 2019)."""
    rng = np.random.default_rng([seed, 1])
    audiocap_id = 0
    for split, size in zip(("train", "val", "test"), sizes, strict=True):
        rows = []
        for number in range(size):
            scene = scenes.sample_scene(pool, rng)
            youtube_id, start = _youtube_id("audiocaps", split, number), int(rng.integers(300))
            wave, _ = scenes.render_scene(scene, rng)
            _write_wave(folder / "audio" / split / f"{youtube_id}_{start}.wav", wave)
            for _ in range(1 if split == "train" else 5):
                rows.append((audiocap_id, youtube_id, start, scenes.write_caption(scene, rng)))
                audiocap_id += 1
        header = ("audiocap_id", "youtube_id", "start_time", "caption")
        _write_csv(folder / f"{split}.csv", header, rows)
    _write_notice(folder)


def write_vggsound(
    pool: Sequence[Recording], sizes: Sequence[int], folder: Path, seed: int
) -> None:
    """VGGSound: a headerless list with labels, and captions as those of AudioSetCaps."""
    rng = np.random.default_rng([seed, 2])
    rows, captions = [], []
    for split, size in zip(("train", "test"), sizes, strict=True):
        for number in range(size):
            scene = scenes.sample_scene(pool, rng, events=(1,))
            youtube_id, start = _youtube_id("vggsound", split, number), int(rng.integers(300))
            wave, _ = scenes.render_scene(scene, rng)
            name = f"{youtube_id}_{start:06d}"
            _write_wave(folder / "audio" / f"{name}.wav", wave)
            rows.append((youtube_id, start, scene.events[0].recording.label, split))
            captions.append((name, scenes.write_caption(scene, rng)))
    _write_csv(folder / "vggsound.csv", None, rows)
    _write_csv(folder / "VGGSound_AudioSetCaps_caption.csv", ("id", "caption"), captions)
    _write_notice(folder)


def write_xacle(
    pool: Sequence[Recording],
    sizes: Sequence[int],
    panels: dict[str, SimulatedPanel],
    folder: Path,
    seed: int,
) -> None:
    """XACLE with `model_id`; no recording group and no listener is in two splits.

    Two generators of the test split occur in no other.
    """
    rng = np.random.default_rng([seed, 3])
    group_split = split_groups(pool, rng)
    systems = {"train": GENERATORS[:4], "validation": GENERATORS[:4], "test": GENERATORS[2:]}
    number = 0
    for split, size in zip(SPLITS, sizes, strict=True):
        part = [recording for recording in pool if group_split[recording.group] == split]
        names, texts, models, matches = [], [], [], []
        for _ in range(size):
            system = systems[split][int(rng.integers(len(systems[split])))]
            wave, text, match = _compose_pair(part, system, rng)
            name = f"{number:05d}.wav"
            _write_wave(folder / "wav" / split / name, wave)
            names.append(name)
            texts.append(text)
            models.append(system.model_id)
            matches.append(match)
            number += 1
        ratings = simulated_listeners.simulate_ratings(
            np.array(matches), panels[split], f"sim{split[:2]}", rng
        )
        rows = [(names[i], texts[i], score, listener, models[i]) for i, listener, score in ratings]
        columns = ("wav_file_name", "text", "score", "listener_id", "model_id")
        _write_csv(folder / "meta_data" / f"{split}.csv", columns, rows)
        per_pair = np.array([score for _, _, score in ratings], float).reshape(size, -1)
        averages = zip(names, texts, per_pair.mean(axis=1).tolist(), strict=True)
        header = ("wav_file_name", "text", "average_score")
        _write_csv(folder / "meta_data" / f"{split}_average.csv", header, averages)
    _write_notice(folder)


def split_groups(pool: Sequence[Recording], rng: np.random.Generator) -> dict[str, str]:
    """Each recording group's split; each label's groups are split in the proportions FRACTIONS."""
    splits: dict[str, str] = {}
    for label in sorted({recording.label for recording in pool}):
        groups = {recording.group for recording in pool if recording.label == label}
        unassigned = sorted(groups - splits.keys())
        offset = rng.random()
        for rank, group in enumerate(rng.permutation(unassigned)):
            quantile = (rank + offset) / len(unassigned) % 1.0
            index = np.searchsorted(np.cumsum(FRACTIONS), quantile, side="right")
            splits[group] = SPLITS[int(index)]
    return splits


def _compose_pair(
    pool: Sequence[Recording], generator: Generator, rng: np.random.Generator
) -> tuple[Wave, str, float]:
    """A generated sound (T,), its text, and their true match, 0 to 10."""
    fault = FAULTS[int(rng.choice(len(FAULTS), p=generator.faults))]
    text_scene = generators.sample_text_scene(pool, fault, rng)
    audio_scene = generators.generate_scene(text_scene, fault, pool, rng)
    wave, _ = scenes.render_scene(audio_scene, rng)
    text = scenes.write_caption(text_scene, rng)
    wave = generators.apply_channel(wave, generator, rng)
    return wave, text, simulated_listeners.match_score(audio_scene, text_scene)


def _youtube_id(*parts: object) -> str:
    """An invented id of YouTube's length."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:11]


def _write_wave(path: Path, wave: Wave) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, SAMPLE_RATE, np.round(wave * 32767.0).astype(np.int16))


def _write_csv(path: Path, header: Sequence[str] | None, rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if header is not None:
            writer.writerow(header)
        writer.writerows(rows)


def _write_notice(folder: Path) -> None:
    (folder / "README.md").write_text(NOTICE, encoding="utf-8")
