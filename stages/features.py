"""The audio encoder's features of every clip, pooled to the language model's audio tokens.

reads   data/prepared/clips.parquet, data/prepared/shards/, encoders.audio
writes  data/features/, one row (tokens, width) per clip
"""

import shutil
from functools import partial
from pathlib import Path

from soundjudge import params
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.jobs import chunks
from soundjudge.model.audio.audio_encoder import load_audio_encoder
from soundjudge.model.features import feature_extraction
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder

PREPARED = Path("data/prepared")
FEATURES = Path("data/features")


def load_writers(
    path: Path, config: feature_extraction.FeatureConfig, device: str
) -> dict[str, chunks.Writer]:
    devices.make_deterministic()
    write = partial(
        feature_extraction.write_feature_chunk,
        encoder=load_audio_encoder(path, devices.process_state(device).device),
        clips=ClipStore(PREPARED),
        config=config,
    )
    return {"clips": write}


def main() -> None:
    config = params.load("features", feature_extraction.FeatureConfig)
    encoder = params.load("encoders.audio", Path)
    device = params.load("device", str)

    clips = ClipStore(PREPARED)
    inputs = [PREPARED / "clips.parquet", encoder]
    work = work_folder("features", config.chunk_params(), inputs)
    width = load_audio_encoder(encoder, devices.resolve_device("cpu")).width
    jobs = chunks.split_chunks("clips", clips.ids(), work, config.chunk_size(width))
    load = partial(load_writers, encoder, config)
    chunks.make_chunks(jobs, load, config.engine, config.workers, device)

    with artifacts.atomic_folder(FEATURES) as folder:
        chunks.gather_chunks(folder, jobs, clips.ids())
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
