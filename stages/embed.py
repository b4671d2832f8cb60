"""Embeds every captioned clip and every caption with the teacher, each distinct one once.

reads   data/prepared/ captions, clips, shards, checkpoints/clapscore/
writes  data/embeddings/ clips/, captions/, teacher.json
"""

import shutil
from collections.abc import Sequence
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


def main() -> None:
    devices.deterministic()
    choice = params.load("embed", embeddings.Embedding)
    device = devices.process(params.load("device", str)).device

    clips = Clips(PREPARED)
    captions = tables.read(PREPARED / "captions.parquet", tables.CAPTIONS)
    teacher = clapscore.load(TEACHER, device)
    clap = teacher.clap
    inputs = [PREPARED / "clips.parquet", PREPARED / "captions.parquet", TEACHER]
    work = artifacts.work_folder("embed", choice, inputs)

    def hear(clip_ids: Sequence[str]) -> Tensor:
        return clap.embed_sounds([clips.wave(clip_id) for clip_id in clip_ids])

    heard, read = embeddings.clips(captions, clips.table), embeddings.texts(captions)
    with artifacts.atomic_folder(EMBEDDINGS) as folder:
        for name, things, encode in (("clips", heard, hear), ("captions", read, clap.embed_texts)):
            embeddings.write(folder / name, things, encode, choice, work / name, device.type)
        artifacts.write_json(folder / "teacher.json", {"clapscore": teacher.name()})
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
