"""Encodes every rated clip and text by every frozen CLAP, each distinct one once for all stages.

reads   data/prepared/ rated, clips, shards, encoders.clap, the extra_encoders of regress and fusion
writes  data/clap_features/ first/<name>/, of encoders.clap, and extra/<name>/: clips/ and texts/
"""

import shutil
from functools import partial
from pathlib import Path

from soundjudge import params
from soundjudge.clap.embeddings import embeddings
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource, as_source
from soundjudge.clap.features.stored_clap import CLIPS, TEXTS, clap_encoders
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.jobs import chunks
from soundjudge.data.tables.tables import RATED, read_table
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder

PREPARED, CLAP_FEATURES = Path("data/prepared"), Path("data/clap_features")


def load_writers(
    sources: list[ClapSource], config: chunks.EncodingConfig, device: str
) -> dict[str, chunks.Writer]:
    devices.make_deterministic()
    own = devices.process_state(device).device
    claps = [checkpoints.load_encoder(source, own) for source in sources]
    write = partial(embeddings.write_encoding_chunk, config=config)
    encoders = clap_encoders(claps, ClipStore(PREPARED))
    return {kind: partial(write, encode=encode) for kind, encode in encoders.items()}


def main() -> None:
    config = params.load("clap_features", chunks.EncodingConfig)
    first, device = params.load("encoders.clap", ClapSource), params.load("device", str)
    extra = params.load("regress.extra_encoders", tuple[Path | ClapSource, ...])
    extra += params.load("fusion.extra_encoders", tuple[Path | ClapSource, ...])
    sources = list(dict.fromkeys([first, *map(as_source, extra)]))
    inputs = [PREPARED / "clips.parquet", PREPARED / "rated.parquet"]
    inputs += [checkpoints.resolve_path(source.path) for source in sources]
    rated, clips = read_table(inputs[1], RATED), ClipStore(PREPARED).table
    distinct = dict(zip((CLIPS, TEXTS), embeddings.distinct_rated(rated, clips), strict=True))
    work = work_folder("clap_features", config.chunk_params(), inputs)
    load = partial(load_writers, sources, config)
    writers = load(device)
    groups = {kind: distinct[Path(kind).name] for kind in writers}
    jobs = {kind: chunks.split_chunks(kind, g.items, work) for kind, g in groups.items()}
    factory = load if config.engine == "ray" else lambda _: writers
    chunks.make_chunks(sum(jobs.values(), []), factory, config.engine, config.workers, device)
    with artifacts.atomic_folder(CLAP_FEATURES) as folder:
        for kind, group in groups.items():
            chunks.gather_chunks(folder / kind, jobs[kind], group.keys, group.rows)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
