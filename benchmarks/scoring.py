"""How fast a packaged judge scores: one sound from cold, a table, a grid; and its peers.

    python benchmarks/scoring.py [JUDGE] [--pairs 240] [--grid 50]

The plain ways run in the same process and on the same pairs, so that the ratios mean something: the
judge pair by pair, and transformers' `ClapModel` as it is scripted, pair by pair and in batches,
beside a judge of that same CLAP alone. Processor seconds are of all threads. Prints a markdown
table; nothing is asserted.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr
import torch

from soundjudge import Judge
from soundjudge.data.audio import audio
from soundjudge.data.tables.tables import SAMPLE_RATE

SAMPLE = Path("data/sample/xacle")
CLAP = Path("checkpoints/sample/clap")
BATCH = 32
Result = list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", nargs="?", default="checkpoints/judge")
    parser.add_argument("--pairs", type=int, default=240)
    parser.add_argument("--grid", type=int, default=50, help="sounds, and texts, of a grid")
    options = parser.parse_args()

    averages = SAMPLE / "meta_data" / "validation_average.csv"
    pairs = pd.read_csv(averages).head(options.pairs)
    sounds = [SAMPLE / "wav" / "validation" / name for name in pairs["wav_file_name"]]
    texts = list(pairs["text"])
    seconds = sum(len(audio.read_audio(sound)) for sound in sounds) / SAMPLE_RATE
    print(f"{len(texts)} pairs, {seconds:.0f} s of sound, {torch.get_num_threads()} threads\n")
    print("| what | seconds | processor seconds | times real time |\n|---|---|---|---|")

    def row(name: str, work: Callable[[], Result]) -> Result:
        start, busy = time.perf_counter(), time.process_time()
        result = work()
        wall, busy = time.perf_counter() - start, time.process_time() - busy
        print(f"| {name} | {wall:.1f} | {busy:.1f} | {seconds / wall:.0f} |", flush=True)
        return result

    print_cold(options.judge, sounds[0], texts[0])
    # A judge keeps what it encoded last: each way gets a fresh one.
    fresh = Judge.from_pretrained(options.judge)
    fresh.score(sounds[0], texts[0])
    batched = row(f"judge, batch {BATCH}", lambda: fresh.score_pairs(sounds, texts, BATCH))
    other = Judge.from_pretrained(options.judge)
    alone = row("judge, one by one", lambda: one_by_one(other, sounds, texts))
    clap = Judge.from_clap(CLAP)
    row(f"judge of one CLAP, batch {BATCH}", lambda: clap.score_pairs(sounds, texts, BATCH))
    clap = Judge.from_clap(CLAP)
    row("judge of one CLAP, one by one", lambda: one_by_one(clap, sounds, texts))
    script = ClapScript(CLAP)
    row("`ClapModel`, one by one", lambda: script.scores(sounds, texts, 1))
    row(f"`ClapModel`, batch {BATCH}", lambda: script.scores(sounds, texts, BATCH))
    print_grid(options.judge, sounds[: options.grid], texts[: options.grid])

    gap = float(np.abs(np.array(batched) - np.array(alone)).max())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nLargest difference between the judge's ways: {gap:.1e} points. {peak:.1f} GiB.")


def one_by_one(judge: Judge, sounds: list[Path], texts: list[str]) -> Result:
    return [judge.score(sound, text) for sound, text in zip(sounds, texts, strict=True)]


def print_cold(judge: str, sound: Path, text: str) -> None:
    """A line for the command, from its start to its end: the best of three."""
    command = [sys.executable, "-m", "soundjudge", "score", str(sound), text, "--model", judge]
    runs = []
    for _ in range(3):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        runs.append((time.perf_counter() - start, busy))
    wall, busy = min(runs)
    print(f"| `soundjudge score`, cold | {wall:.1f} | {busy:.1f} | |", flush=True)


def print_grid(name: str, sounds: list[Path], texts: list[str]) -> None:
    """A line for every sound with every text, and one for the diagonal alone."""
    for title, listed, written in (
        ("its diagonal", sounds, texts),
        (
            f"grid of {len(sounds)} sounds and {len(texts)} texts",
            [sound for sound in sounds for _ in texts],
            texts * len(sounds),
        ),
    ):
        judge = Judge.from_pretrained(name)
        start, busy = time.perf_counter(), time.process_time()
        judge.score_pairs(listed, written, BATCH)
        wall, busy = time.perf_counter() - start, time.process_time() - busy
        print(f"| {title}, {len(listed)} pairs | {wall:.1f} | {busy:.1f} | |", flush=True)


class ClapScript:
    """CLAPScore as papers' scripts compute it with transformers."""

    def __init__(self, folder: Path) -> None:
        from transformers import ClapFeatureExtractor, ClapModel, RobertaTokenizerFast

        self.model = ClapModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.extractor = ClapFeatureExtractor.from_pretrained(folder)
        self.tokenizer = RobertaTokenizerFast.from_pretrained(folder)

    @torch.no_grad()
    def scores(self, sounds: list[Path], texts: list[str], batch: int) -> Result:
        """Cosines."""
        cosines: Result = []
        for start in range(0, len(sounds), batch):
            waves = [self._wave(sound) for sound in sounds[start : start + batch]]
            mels = self.extractor(
                waves, sampling_rate=self.extractor.sampling_rate, return_tensors="pt"
            )
            tokens = self.tokenizer(texts[start : start + batch], padding=True, return_tensors="pt")
            mels["input_features"] = mels["input_features"].float()
            output = self.model(**mels, **tokens)
            cosines += (output.audio_embeds * output.text_embeds).sum(-1).tolist()
        return cosines

    def _wave(self, path: Path) -> np.ndarray:
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return soxr.resample(wave.mean(axis=1), rate, self.extractor.sampling_rate)


if __name__ == "__main__":
    main()
