"""Embeds every captioned clip and every caption with the teacher, each distinct one once.

reads   data/prepared/ captions, clips, shards, checkpoints/clapscore/
writes  data/embeddings/ clips/, captions/, teacher.json
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from soundjudge import artifacts, params
from soundjudge.clap import clapscore, embeddings
from soundjudge.data import chunks, tables
from soundjudge.data.shards import Clips
from soundjudge.training import devices

PREPARED = Path("data/prepared")
TEACHER = Path("checkpoints/clapscore")
EMBEDDINGS = Path("data/embeddings")


def opened(choice: embeddings.Embedding, wanted: str) -> dict[str, chunks.Writer]:
    devices.deterministic()
    device = devices.process(wanted).device
    clap, clips = clapscore.load(TEACHER, device).clap, Clips(PREPARED)

    def hear(clip_ids: Sequence[str]) -> Tensor:
        return clap.embed_sounds([clips.wave(clip_id) for clip_id in clip_ids])

    write = partial(embeddings.write_chunk, embedding=choice, device=device)
    read = partial(write, encode=clap.embed_texts)
    return {"clips": partial(write, encode=hear), "captions": read}


def main() -> None:
    choice = params.load("embed", embeddings.Embedding)
    device = params.load("device", str)

    clips = tables.read(PREPARED / "clips.parquet", tables.CLIPS)
    captions = tables.read(PREPARED / "captions.parquet", tables.CAPTIONS)
    inputs = [PREPARED / "clips.parquet", PREPARED / "captions.parquet", TEACHER]
    work = artifacts.work_folder("embed", chunks.identity(choice), inputs)
    things = {"clips": embeddings.clips(captions, clips), "captions": embeddings.texts(captions)}
    parts = [chunks.split(name, thing.items, work, chunks.ITEMS) for name, thing in things.items()]
    make = partial(opened, choice)
    chunks.make(sum(parts, []), make, choice.engine, choice.workers, device)

    with artifacts.atomic_folder(EMBEDDINGS) as folder:
        for (name, thing), made in zip(things.items(), parts, strict=True):
            chunks.gather(folder / name, made, thing.keys, thing.rows)
        teacher = artifacts.read_json(TEACHER / clapscore.MEMBER)["name"]
        artifacts.write_json(folder / "teacher.json", {"clapscore": teacher})
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
