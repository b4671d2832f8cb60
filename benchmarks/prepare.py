"""Speed of `prepare` compared with the disk and the decoder, and its memory.

    python benchmarks/prepare.py [--clips 20000] [--flac 2000] [--workers N] [--folder DIR]

Generates clips of 10 s, 16 kHz 16-bit wav and 44.1 kHz stereo flac, in DIR (7 GB, removed at the
end). Each measurement is a process of its own, over files that are not in the page cache: reading
the bytes of all files, decoding them all (audio.read), and prepare, each with the same number of
threads. Prints a markdown table; nothing is asserted.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from soundjudge.data.audio import audio
from soundjudge.data.corpora import preparation
from soundjudge.data.corpora.acceptance import Preparation

SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--flac", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="where there is room; a temporary one")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        start, busy = time.perf_counter(), time.process_time()
        figures: dict[str, float] = {
            "count": MEASURES[options.measure](options.folder, options.workers)
        }
        figures |= {"seconds": time.perf_counter() - start, "busy": time.process_time() - busy}
        print(json.dumps(figures | {"peak": peak_memory()}))
        return

    folder = Path(tempfile.mkdtemp(dir=options.folder))
    heads = ["clips", "bytes", "read them", "decode them", "prepare", "of reading", "of decoding"]
    heads += ["CPU per clip: decode, prepare", "peak memory"]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    try:
        runs = (("flac", options.flac), ("wav", options.clips // 10), ("wav", options.clips))
        for suffix, clips in runs:
            corpus = folder / f"{suffix}{clips}"
            generate(corpus, clips, suffix)
            report(corpus, clips, suffix, options.workers)
            shutil.rmtree(corpus)
    finally:
        shutil.rmtree(folder)


def report(corpus: Path, clips: int, suffix: str, workers: int) -> None:
    size = sum(path.stat().st_size for path in files(corpus))
    figures = {}
    for measure in MEASURES:
        forget(files(corpus))
        command = [sys.executable, __file__, "--measure", measure]
        command += ["--folder", str(corpus), "--workers", str(workers)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        figures[measure] = json.loads(output.splitlines()[-1])
        assert figures[measure]["count"] == clips
    seconds = {name: one["seconds"] for name, one in figures.items()}
    cells = [f"{clips:,} {suffix}", f"{size / 1e9:.2f} GB"]
    cells += [f"{clips / seconds[name]:,.0f}/s ({size / 1e6 / seconds[name]:,.0f} MB/s)"
              for name in ("read", "decode", "prepare")]  # fmt: skip
    cells += [f"{seconds[name] / seconds['prepare']:.0%}" for name in ("read", "decode")]
    busy = [f"{1000 * figures[name]['busy'] / clips:.1f} ms" for name in ("decode", "prepare")]
    cells += [", ".join(busy), f"{figures['prepare']['peak'] / 2**20:,.0f} MiB"]
    print(f"| {' | '.join(cells)} |", flush=True)


def generate(corpus: Path, clips: int, suffix: str) -> None:
    """AudioCaps with so many clips of noise, each another, and two pairs of XACLE."""
    rate, channels = (16_000, 1) if suffix == "wav" else (44_100, 2)
    rng = np.random.default_rng(0)
    long = np.cumsum(rng.standard_normal((rate * (SECONDS + 60), channels)), axis=0)
    long = 0.5 * (long - long.mean(axis=0)) / np.abs(long).max()  # brown: flac finds something
    long += 0.02 * rng.standard_normal(long.shape)
    pcm = np.round(long * 32_767).astype(np.int16)
    audio_folder = corpus / "audiocaps/audio/train"
    audio_folder.mkdir(parents=True)
    rows = ["audiocap_id,youtube_id,start_time,caption"]
    for number in range(clips):
        start = int(rng.integers(len(pcm) - rate * SECONDS))
        path = audio_folder / f"clip{number:06d}_30.{suffix}"
        soundfile.write(path, pcm[start : start + rate * SECONDS], rate)
        rows.append(f"{number},clip{number:06d},30,A caption of some words")
    (corpus / "audiocaps/train.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for number, split in enumerate(("train", "validation")):
        for name in ("meta_data", f"wav/{split}"):
            (corpus / "xacle" / name).mkdir(parents=True, exist_ok=True)
        header = "wav_file_name,text,score,listener_id\n"
        path = corpus / f"xacle/meta_data/{split}.csv"
        path.write_text(f"{header}{number}.wav,x,5,a\n", encoding="utf-8")
        soundfile.write(corpus / f"xacle/wav/{split}/{number}.wav", pcm[: rate * SECONDS], rate)
    (corpus / "none").mkdir()
    (corpus / "none/README.md").touch()
    os.sync()


def files(corpus: Path) -> list[Path]:
    return sorted((corpus / "audiocaps/audio/train").iterdir())


def forget(paths: list[Path]) -> None:
    """Takes the files out of the page cache."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def in_threads(work: Callable[[Path], object], corpus: Path, workers: int) -> int:
    with ThreadPoolExecutor(workers) as pool:
        return sum(1 for _ in pool.map(work, files(corpus)))


def read(corpus: Path, workers: int) -> int:
    return in_threads(lambda path: len(path.read_bytes()), corpus, workers)


def decode(corpus: Path, workers: int) -> int:
    return in_threads(lambda path: len(audio.read_audio(path, SECONDS + 1.0)), corpus, workers)


def prepare(corpus: Path, workers: int) -> int:
    config = Preparation(
        xacle=corpus / "xacle",
        audiocaps=corpus / "audiocaps",
        vggsound=corpus / "none",
        max_seconds=float(SECONDS),
        max_rejected_fraction=0.0,
        max_missing_fraction=0.0,
    )
    corpora = preparation.list_corpora(config)
    out, work = corpus / "out", corpus / "work"
    result = preparation.write_prepared(corpora, config, out, work, workers, lambda line: None)
    return result.corpora["audiocaps"].kept


def peak_memory() -> int:
    """Bytes. ru_maxrss would count what the parent had held."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


MEASURES = {"read": read, "decode": decode, "prepare": prepare}


if __name__ == "__main__":
    main()
