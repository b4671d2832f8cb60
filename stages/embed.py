"""Embeds every captioned clip and every caption with the teacher, once.

reads   data/prepared/ captions, clips, shards, checkpoints/clapscore/
writes  data/embeddings/clips/, data/embeddings/captions/
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from soundjudge import artifacts, params
from soundjudge.clap import clapscore, embeddings
from soundjudge.data import tables
from soundjudge.data.shards import Clips
from soundjudge.training import devices

PREPARED = Path("data/prepared")
TEACHER = Path("checkpoints/clapscore")
EMBEDDINGS = Path("data/embeddings")


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Section `embed` of params.yaml."""

    batch_size: int  # clips or captions at once


def main() -> None:
    devices.deterministic()
    embedding = params.load("embed", Embedding)
    device = devices.process(params.load("device", str)).device

    clips = Clips(PREPARED)
    captions = tables.read(PREPARED / "captions.parquet", tables.CAPTIONS)
    clap = clapscore.load(TEACHER, device).clap
    inputs = [PREPARED / "clips.parquet", PREPARED / "captions.parquet", TEACHER]
    work = artifacts.work_folder("embed", embedding, inputs)

    def hear(clip_ids: Sequence[str]) -> Tensor:
        return clap.embed_sounds([clips.wave(clip_id) for clip_id in clip_ids])

    heard = sorted(set(captions["clip_id"]))
    keys, texts = list(captions["caption_id"]), list(captions["text"])
    size = embedding.batch_size
    with artifacts.atomic_folder(EMBEDDINGS) as folder:
        embeddings.write(folder / "clips", heard, heard, hear, size, work / "clips")
        embeddings.write(
            folder / "captions", keys, texts, clap.embed_texts, size, work / "captions"
        )
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
