"""What BEATs hears in every clip, pooled to the tokens of the language model.

reads   data/prepared/clips.parquet, data/prepared/shards/, encoders.beats
writes  data/features/ one row (tokens, width) a clip
"""

from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.data.shards import Clips, write_rows
from soundjudge.model import features
from soundjudge.model.beats import load_beats
from soundjudge.training import devices

PREPARED = Path("data/prepared")
FEATURES = Path("data/features")


def main() -> None:
    devices.deterministic()
    encoding = params.load("encode", features.Encoding)
    encoder = params.load("encoders.beats", Path)
    device = devices.process(params.load("device", str)).device

    beats = load_beats(encoder).to(device)
    clips = Clips(PREPARED)
    with artifacts.atomic_folder(FEATURES) as folder:
        write_rows(folder, clips.ids(), features.encode_clips(beats, clips, encoding))


if __name__ == "__main__":
    main()
