"""One member's scores of every validation and test pair.

reads   checkpoints/<folder of the member>/, the encoders it names,
        data/prepared/ clips, shards and rated pairs
writes  data/predictions/members/<member>/{validation,test}.csv and checkpoint.json, which
        says what was scored with
"""

import sys
from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.clap.opening import Opening
from soundjudge.data import tables
from soundjudge.data.shards import Clips
from soundjudge.scoring import members, predict

PREPARED = Path("data/prepared")
CHECKPOINTS = Path("checkpoints")
PREDICTIONS = Path("data/predictions/members")
SPLITS = ("validation", "test")


def main(name: str) -> None:
    prediction = params.load("predict", predict.Prediction)
    checkpoint = params.load(f"ensemble.members.{name}", str)
    device = members.device(params.load("device", str))
    opening = params.load("encoders.opening", Opening)

    clips = Clips(PREPARED)
    rated = tables.read(PREPARED / "rated.parquet", tables.RATED)
    window = prediction.window_seconds
    loader = members.Loader(root=Path(), device=device, window_seconds=window, opening=opening)
    member = loader.member(CHECKPOINTS / checkpoint)

    with artifacts.atomic_folder(PREDICTIONS / name) as folder:
        for split in SPLITS:
            pairs = rated[rated["split"] == split]
            scores = predict.predict(member, clips, pairs, prediction)
            tables.write(scores, folder / f"{split}.csv", tables.PREDICTIONS)
        predict.sign(folder, CHECKPOINTS / checkpoint)


if __name__ == "__main__":
    main(sys.argv[1])
