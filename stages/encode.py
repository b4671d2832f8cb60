"""What BEATs hears in every clip, pooled to the tokens of the language model.

reads   data/prepared/clips.parquet, data/prepared/shards/, encoders.beats
writes  data/features/ one row (tokens, width) a clip
"""

import shutil
from functools import partial
from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.data import chunks
from soundjudge.data.shards import Clips
from soundjudge.model import features
from soundjudge.model.beats import load_beats
from soundjudge.training import devices

PREPARED = Path("data/prepared")
FEATURES = Path("data/features")


def opened(encoder: Path, encoding: features.Encoding, wanted: str) -> dict[str, chunks.Writer]:
    devices.deterministic()
    beats = load_beats(encoder).to(devices.process(wanted).device)
    clips = Clips(PREPARED)
    write = partial(features.write_chunk, beats=beats, clips=clips, encoding=encoding)
    return {"clips": write}


def main() -> None:
    encoding = params.load("encode", features.Encoding)
    encoder = params.load("encoders.beats", Path)
    device = params.load("device", str)

    clips = Clips(PREPARED)
    inputs = [PREPARED / "clips.parquet", encoder]
    work = artifacts.work_folder("encode", chunks.identity(encoding), inputs)
    count = encoding.chunk_size(load_beats(encoder).config.encoder_embed_dim)
    parts = chunks.split("clips", clips.ids(), work, count)
    make = partial(opened, encoder, encoding)
    chunks.make(parts, make, encoding.engine, encoding.workers, device)

    with artifacts.atomic_folder(FEATURES) as folder:
        chunks.gather(folder, parts, clips.ids())
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
