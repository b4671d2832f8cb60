"""Time of a million pseudo-labels: the whole stage on a corpus of the published size.

    python benchmarks/pseudolabel.py [--clips 273000] [--dtype float16] [--set KEY VALUE]

The corpus is synthetic: clustered random embeddings of 512 values, so that texts have neighbors,
and captions of random words. The stage runs as a program of its own on the settings of the
recipe tmu2026; its floor is one read of the embeddings and a dot product per pair. What the
encoders cost is measured with the sample's CLAP on the sample's clips: each sound and text once,
against both for every pair. Prints a markdown table; nothing is asserted.

N clips and captions, E embedding dimensions.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from soundjudge import recipes
from soundjudge.clap.encoders.encoder import encode_batches
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.data.arrays import array_store
from soundjudge.data.audio import audio
from soundjudge.data.jobs import chunks
from soundjudge.data.tables import tables
from soundjudge.labels.pairs import neighbors
from soundjudge.runtime import artifacts

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data/sample/clips"
CLAP = ROOT / "checkpoints/sample/clap"
SIZE = 512  # E
TOPICS, SCENES, SHADES = 40, 3000, 24  # of the embeddings: clusters in clusters, and what varies
SPLITS = {"train": 0.96, "validation": 0.01, "test": 0.03}
QUERIES = 2000  # texts whose neighbors are searched exactly
SOUNDS = 48  # of the sample, for the encoders


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (..., E) of length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


class Space:
    """A synthetic space of texts: mean cosine 0.2, nearest of many thousands mostly 0.8 to 0.9."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        topics = unit(rng.normal(size=(TOPICS, SIZE)))[rng.integers(TOPICS, size=SCENES)]
        scenes = unit(rng.normal(size=(SCENES, SIZE)))
        self.scenes = 0.45 * unit(rng.normal(size=SIZE)) + 0.5 * topics + 0.5 * scenes
        self.shades = 0.45 * rng.normal(size=(SHADES, SIZE)) / np.sqrt(SHADES * SIZE)
        self.shares = 1 / (np.arange(SCENES) + 20.0)  # common scenes and rare ones

    def texts(self, count: int) -> NDArray[np.float64]:
        """Embeddings of texts: (count, E)."""
        scene = self.rng.choice(SCENES, count, p=self.shares / self.shares.sum())
        shades = self.rng.normal(size=(count, SHADES)) @ self.shades
        own = 0.2 * unit(self.rng.normal(size=(count, SIZE)))
        return unit(self.scenes[scene] + shades + own)

    def sounds(self, texts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Embeddings of sounds that fit these texts: (count, E)."""
        return unit(0.7 * texts + 0.7 * unit(self.rng.normal(size=texts.shape)))


def write_corpus(folder: Path, count: int, dtype: str, changes: dict[str, object]) -> None:
    """Everything that the stage reads, below `folder`."""
    rng = np.random.default_rng(0)
    ids = [f"vggsound/{number:011d}_000030" for number in range(count)]
    split = rng.choice(list(SPLITS), count, p=list(SPLITS.values()))
    clips = pd.DataFrame({"clip_id": ids, "corpus": "vggsound", "split": split})
    clips = clips.assign(
        shard=0, offset=0, samples=160_000, sha256=[f"{n:064x}" for n in range(count)]
    )
    vocabulary = np.array([f"word{number}" for number in range(3000)], dtype=object)
    texts = [" ".join(words) for words in vocabulary[rng.integers(3000, size=(count, 12))]]
    texts[count // 2 : count // 2 + count // 100] = texts[: count // 100]  # some are repeated
    captions = clips[["clip_id", "corpus"]].assign(caption_id=ids, text=texts)
    labels = np.array([f"label {number}" for number in range(309)] + [None] * 150, dtype=object)
    captions = captions.assign(label=rng.choice(labels, count))
    names = [f"{number:05d}.wav" for number in range(min(3000, count))]
    rated = pd.DataFrame({"wav_file_name": names, "text": texts[: len(names)], "split": "test"})
    prepared = folder / "data/prepared"
    tables.write_table(clips, prepared / "clips.parquet", tables.CLIPS)
    tables.write_table(captions, prepared / "captions.parquet", tables.CAPTIONS)
    tables.write_table(rated, prepared / "rated.parquet", tables.RATED)

    audio_embeddings = folder / "data/embeddings/clips"
    text_embeddings = folder / "data/embeddings/captions"
    for store in (audio_embeddings, text_embeddings):
        (store / "shards").mkdir(parents=True)
    space = Space(rng)
    for shard, start in enumerate(range(0, count, chunks.MAX_CHUNK_ITEMS)):
        vectors = space.texts(min(chunks.MAX_CHUNK_ITEMS, count - start))
        sounds = space.sounds(vectors)
        np.save(array_store.shard_path(text_embeddings, shard), vectors.astype(dtype))
        np.save(array_store.shard_path(audio_embeddings, shard), sounds.astype(dtype))
    for store in (audio_embeddings, text_embeddings):
        array_store.write_keys(store, ids, np.arange(count))
    artifacts.write_json(folder / "data/embeddings/teacher.json", {"clapscore": "random numbers"})
    recipe = yaml.safe_load(recipes.recipe_text("tmu2026", ROOT / "recipes"))
    values = {"device": "cpu", "pseudolabel": recipe["pseudolabel"] | changes}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))


def run_stage(folder: Path) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak memory in GiB of the stage, start to end."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, str(ROOT / "stages/pseudolabel.py")], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the stage failed")
    wall = time.perf_counter() - start
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def floor(folder: Path) -> float:
    """Seconds for one read of the embeddings and a dot product per pair, and nothing else."""
    pairs = tables.read_table(folder / "data/pseudo/pairs.parquet", tables.PAIRS)
    stores = [
        array_store.ArrayStore(folder / "data/embeddings" / name) for name in ("clips", "captions")
    ]
    clip = stores[0].row_indices(pairs["clip_id"].to_numpy())
    caption = stores[1].row_indices(pairs["caption_id"].to_numpy())
    start = time.perf_counter()
    sounds, texts = (np.concatenate(list(store.blocks())) for store in stores)
    for block in neighbors.iter_blocks(np.arange(len(pairs)), 8192):
        one, other = sounds[clip[block]], texts[caption[block]]
        np.einsum("ne,ne->n", one.astype(np.float32), other.astype(np.float32))
    return time.perf_counter() - start


def recall(folder: Path, pool: int | None) -> tuple[float, float, float]:
    """How many exact nearest texts the cells find, and the mean cosines of what both find."""
    settings = yaml.safe_load((folder / "params.yaml").read_text())["pseudolabel"]
    embeddings = array_store.ArrayStore(folder / "data/embeddings/captions")
    low, high = settings["hard_similarity_range"]
    search = neighbors.NeighborSearch(
        size=1, cosine_range=(low, high), pool=pool, seed=settings["seed"]
    )

    def vectors(texts: neighbors.Integers) -> NDArray[np.float32]:
        return embeddings.take(texts).astype(np.float32)

    nearest = neighbors.nearest_neighbors(vectors, len(embeddings), search, "cpu")[:QUERIES, 0]
    queries = vectors(np.arange(len(nearest)))
    cosines = np.concatenate(
        [queries @ block.astype(np.float32).T for block in embeddings.blocks()], 1
    )
    cosines[(cosines > high) | (cosines < low)] = -1
    exact = cosines.max(axis=1)
    reached = np.where(nearest < 0, -1, cosines[np.arange(len(nearest)), nearest])
    some = exact > -1
    return (reached == exact)[some].mean(), reached[some].mean(), exact[some].mean()


def encoders(pairs_a_clip: float) -> tuple[float, float, float]:
    """Seconds: sounds and texts once; both for every pair, in batches; both, pair by pair."""
    clap = TransformersClap.load(CLAP, "cpu")
    with (SAMPLE / "manifest.csv").open(encoding="utf-8") as file:
        listed = list(csv.DictReader(file))[:SOUNDS]
    waves = [audio.read_audio(SAMPLE / "ogg" / f"{line['clip_id']}.ogg") for line in listed]
    texts = [line["caption"] for line in listed]
    rng = np.random.default_rng(0)
    clip = np.repeat(np.arange(SOUNDS), 4)[: round(SOUNDS * pairs_a_clip)]
    text = rng.integers(SOUNDS, size=len(clip))

    def seconds(clip: NDArray[np.int64], text: NDArray[np.int64], batch_size: int) -> float:
        start = time.perf_counter()
        list(encode_batches(clap.embed_sounds, [waves[number] for number in clip], batch_size))
        list(encode_batches(clap.embed_texts, [texts[number] for number in text], batch_size))
        return time.perf_counter() - start

    each = np.arange(SOUNDS)
    ways = ((each, each, 32), (clip, text, 32), (clip, text, 1))
    # The least of three: other work on the machine can only add.
    once, batched, alone = (min(seconds(*way) for _ in range(3)) for way in ways)
    return once, batched, alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=273_000)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"))
    options = parser.parse_args()
    changes = {key: yaml.safe_load(value) for key, value in options.set}

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_corpus(folder, options.clips, options.dtype, changes)
        wall, processor, peak = run_stage(folder)
        metrics = yaml.safe_load((folder / "metrics/details/pseudolabel.json").read_text())
        least = floor(folder)
        pool = yaml.safe_load((folder / "params.yaml").read_text())["pseudolabel"]["pool"]
        share, reached, exact = recall(folder, pool)
    pairs = metrics["matched"] + metrics["mismatched"]
    once, batched, alone = encoders(pairs / options.clips)

    passes = 2 * pairs / (2 * options.clips)
    print("| what | figure |\n|---|---|")
    print(f"| pairs of {options.clips} clips, {options.dtype} | {pairs} |")
    for kind in ("random", "hard", "same_label"):
        print(f"| {kind} | {metrics.get(kind, {'pairs': 0})['pairs']} |")
    print(f"| the stage, wall | {wall:.1f} s |")
    print(f"| the stage, processor | {processor:.1f} s |")
    print(f"| the stage, peak memory | {peak:.2f} GiB |")
    print(f"| one read and a dot product per pair | {least:.1f} s |")
    print(f"| nearest texts found, pool {pool} | {100 * share:.1f} % |")
    print(f"| their cosine, found and exact | {reached:.4f}, {exact:.4f} |")
    print(f"| encoder passes, pair by pair against once each | {passes:.2f} times |")
    print(
        f"| measured, batches of 32 | {batched:.1f} s, {once:.1f} s: {batched / once:.2f} times |"
    )
    print(f"| measured, one pair at a time | {alone:.1f} s: {alone / once:.2f} times |")


if __name__ == "__main__":
    main()
