"""Fits a kernel regressor on the features of the frozen CLAP.

reads   data/targets/train.csv, data/prepared/ clips, shards, encoders.clap
writes  checkpoints/regress/
"""

from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.clap import checkpoints, regressor
from soundjudge.clap.encoder import Opening
from soundjudge.data import tables, xacle
from soundjudge.data.shards import Clips
from soundjudge.training import devices

TARGETS = Path("data/targets/train.csv")
PREPARED = Path("data/prepared")
CHECKPOINT = Path("checkpoints/regress")


def main() -> None:
    devices.deterministic()
    regression = params.load("regress", regressor.Regression)
    encoder = params.load("encoders.clap", Path)
    opening = params.load("encoders.opening", Opening)
    device = devices.process(params.load("device", str)).device

    clap = checkpoints.encoder(encoder, device, opening)
    targets = tables.read(TARGETS, tables.TARGETS)
    clip_ids = [xacle.clip_id(name) for name in targets["wav_file_name"]]
    scores = targets["mean_score"].to_numpy()
    machine = regressor.fit_rated(
        clap, Clips(PREPARED), clip_ids, list(targets["text"]), scores, regression
    )
    with artifacts.atomic_folder(CHECKPOINT) as folder:
        regressor.save(folder, machine, encoder, clap.name())


if __name__ == "__main__":
    main()
