"""Embeds every captioned clip and every caption with the teacher, each distinct one once.

reads   data/prepared/ captions, clips, shards, checkpoints/clapscore/
writes  data/embeddings/ clips/, captions/, teacher.json
"""

import shutil
from functools import partial
from pathlib import Path

from soundjudge import params
from soundjudge.clap.clapscore import clapscore
from soundjudge.clap.embeddings import embeddings
from soundjudge.clap.encoders.encoder import clip_embedder
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.jobs import chunks
from soundjudge.data.tables.tables import CAPTIONS, CLIPS, read_table
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder

PREPARED = Path("data/prepared")
TEACHER = Path("checkpoints/clapscore")
EMBEDDINGS = Path("data/embeddings")


def load_writers(config: embeddings.EmbeddingConfig, device: str) -> dict[str, chunks.Writer]:
    devices.make_deterministic()
    own = devices.process_state(device).device
    clap = clapscore.load_clapscore(TEACHER, own).clap
    encoders = {"clips": clip_embedder(clap, ClipStore(PREPARED)), "captions": clap.embed_texts}
    write = partial(embeddings.write_embedding_chunk, embedding=config, device=own)
    return {kind: partial(write, encode=encode) for kind, encode in encoders.items()}


def main() -> None:
    config, device = params.load("embed", embeddings.EmbeddingConfig), params.load("device", str)
    inputs = [PREPARED / "clips.parquet", PREPARED / "captions.parquet", TEACHER]
    clips, captions = read_table(inputs[0], CLIPS), read_table(inputs[1], CAPTIONS)
    work = work_folder("embed", config.chunk_params(), inputs)
    distinct = {
        "clips": embeddings.distinct_clips(captions["clip_id"], clips),
        "captions": embeddings.distinct_texts(captions["caption_id"], captions["text"]),
    }
    jobs = {kind: chunks.split_chunks(kind, g.items, work) for kind, g in distinct.items()}
    load = partial(load_writers, config)
    chunks.make_chunks(sum(jobs.values(), []), load, config.engine, config.workers, device)

    with artifacts.atomic_folder(EMBEDDINGS) as folder:
        for kind, group in distinct.items():
            chunks.gather_chunks(folder / kind, jobs[kind], group.keys, group.rows)
        _, teacher = clapscore.read_clapscore(TEACHER)
        artifacts.write_json(folder / "teacher.json", {"clapscore": teacher.name})
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
