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
from soundjudge.model import encoding
from soundjudge.model.beats import load_beats
from soundjudge.training import devices

PREPARED = Path("data/prepared")
FEATURES = Path("data/features")


def opened(encoder: Path, choice: encoding.Encoding, wanted: str) -> dict[str, chunks.Writer]:
    devices.deterministic()
    beats = load_beats(encoder).to(devices.process(wanted).device)
    clips = Clips(PREPARED)
    write = partial(encoding.write_chunk, beats=beats, clips=clips, choice=choice)
    return {"clips": write}


def main() -> None:
    choice = params.load("encode", encoding.Encoding)
    encoder = params.load("encoders.beats", Path)
    device = params.load("device", str)

    clips = Clips(PREPARED)
    inputs = [PREPARED / "clips.parquet", encoder]
    work = artifacts.work_folder("encode", chunks.identity(choice), inputs)
    count = choice.chunk_size(load_beats(encoder).config.encoder_embed_dim)
    parts = chunks.split("clips", clips.ids(), work, count)
    make = partial(opened, encoder, choice)
    chunks.make(parts, make, choice.engine, choice.workers, device)

    with artifacts.atomic_folder(FEATURES) as folder:
        chunks.gather(folder, parts, clips.ids())
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
