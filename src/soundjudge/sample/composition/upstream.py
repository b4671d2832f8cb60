"""The sample as a user would download it: AudioCaps, VGGSound and XACLE folders, to the letter.

Sounds are composed from real recordings; the ids are made up, the ratings are simulated.
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
SHARES = (0.6, 0.15, 0.25)  # of each label's recording groups, in the order of SPLITS


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many sounds of each corpus are composed, in the order train, validation, test."""

    audiocaps: tuple[int, ...]
    vggsound: tuple[int, ...]  # train, test
    xacle: tuple[int, ...]


def write_audiocaps(
    pool: Sequence[Recording], sizes: Sequence[int], folder: Path, seed: int
) -> None:
    """AudioCaps: a caption a sound in train, five in validation and test (Kim et al. 2019)."""
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
    """VGGSound: a headerless list with labels, and the captions of AudioSetCaps beside it."""
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

    Two of the generators of the test split are heard nowhere else.
    """
    rng = np.random.default_rng([seed, 3])
    group_split = split_groups(pool, rng)
    makers = {"train": GENERATORS[:4], "validation": GENERATORS[:4], "test": GENERATORS[2:]}
    number = 0
    for split, size in zip(SPLITS, sizes, strict=True):
        part = [one for one in pool if group_split[one.group] == split]
        names, texts, models, matches = [], [], [], []
        for _ in range(size):
            maker = makers[split][int(rng.integers(len(makers[split])))]
            wave, text, match = _pair(part, maker, rng)
            name = f"{number:05d}.wav"
            _write_wave(folder / "wav" / split / name, wave)
            names.append(name)
            texts.append(text)
            models.append(maker.model_id)
            matches.append(match)
            number += 1
        rated = simulated_listeners.simulate_ratings(
            np.array(matches), panels[split], f"sim{split[:2]}", rng
        )
        rows = [(names[i], texts[i], score, who, models[i]) for i, who, score in rated]
        header = ("wav_file_name", "text", "score", "listener_id", "model_id")
        _write_csv(folder / "meta_data" / f"{split}.csv", header, rows)
        per_pair = np.array([score for _, _, score in rated], float).reshape(size, -1)
        average = [
            (name, text, mean)
            for name, text, mean in zip(names, texts, per_pair.mean(axis=1).tolist(), strict=True)
        ]
        average_header = ("wav_file_name", "text", "average_score")
        _write_csv(folder / "meta_data" / f"{split}_average.csv", average_header, average)
    _write_notice(folder)


def split_groups(pool: Sequence[Recording], rng: np.random.Generator) -> dict[str, str]:
    """Each recording group's split; a label's groups are dealt out in the proportions of SHARES."""
    result: dict[str, str] = {}
    for label in sorted({one.label for one in pool}):
        groups = sorted({one.group for one in pool if one.label == label} - result.keys())
        offset = rng.random()
        for rank, group in enumerate(rng.permutation(groups)):
            place = (rank + offset) / len(groups) % 1.0
            result[group] = SPLITS[int(np.searchsorted(np.cumsum(SHARES), place, side="right"))]
    return result


def _pair(
    pool: Sequence[Recording], maker: Generator, rng: np.random.Generator
) -> tuple[Wave, str, float]:
    """A generated sound (T,), the text it was asked for, and the true match, 0 to 10."""
    fault = FAULTS[int(rng.choice(len(FAULTS), p=maker.faults))]
    asked = generators.describe_events(pool, fault, rng)
    heard = generators.generate_scene(asked, fault, pool, rng)
    wave, _ = scenes.render_scene(heard, rng)
    text = scenes.write_caption(asked, rng)
    return (
        generators.apply_channel(wave, maker, rng),
        text,
        simulated_listeners.match_score(heard, asked),
    )


def _youtube_id(*parts: object) -> str:
    """A made-up id of YouTube's length."""
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
