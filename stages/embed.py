"""Embeds every captioned clip and every caption with the teacher, each distinct one once.

reads   data/prepared/ captions, clips, shards, checkpoints/clapscore/
writes  data/embeddings/ clips/, captions/, teacher.json
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from soundjudge import params
from soundjudge.clap import clapscore, embeddings
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.jobs import chunks
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts, devices

PREPARED = Path("data/prepared")
TEACHER = Path("checkpoints/clapscore")
EMBEDDINGS = Path("data/embeddings")


def opened(choice: embeddings.EmbeddingConfig, wanted: str) -> dict[str, chunks.Writer]:
    devices.make_deterministic()
    device = devices.process_state(wanted).device
    clap, clips = clapscore.load_clapscore(TEACHER, device).clap, ClipStore(PREPARED)

    def hear(clip_ids: Sequence[str]) -> Tensor:
        return clap.embed_sounds([clips.wave(clip_id) for clip_id in clip_ids])

    write = partial(embeddings.write_embedding_chunk, embedding=choice, device=device)
    read = partial(write, encode=clap.embed_texts)
    return {"clips": partial(write, encode=hear), "captions": read}


def main() -> None:
    choice = params.load("embed", embeddings.EmbeddingConfig)
    device = params.load("device", str)

    clips = tables.read_table(PREPARED / "clips.parquet", tables.CLIPS)
    captions = tables.read_table(PREPARED / "captions.parquet", tables.CAPTIONS)
    inputs = [PREPARED / "clips.parquet", PREPARED / "captions.parquet", TEACHER]
    work = artifacts.work_folder("embed", chunks.chunk_params(choice), inputs)
    things = {
        "clips": embeddings.distinct_clips(captions, clips),
        "captions": embeddings.distinct_texts(captions),
    }
    parts = [
        chunks.split_chunks(name, thing.items, work, chunks.MAX_CHUNK_ITEMS)
        for name, thing in things.items()
    ]
    make = partial(opened, choice)
    chunks.make_chunks(sum(parts, []), make, choice.engine, choice.workers, device)

    with artifacts.atomic_folder(EMBEDDINGS) as folder:
        for (name, thing), made in zip(things.items(), parts, strict=True):
            chunks.gather_chunks(folder / name, made, thing.keys, thing.rows)
        teacher = artifacts.read_json(TEACHER / clapscore.MEMBER)["name"]
        artifacts.write_json(folder / "teacher.json", {"clapscore": teacher})
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
