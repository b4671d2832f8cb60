"""Fits a kernel regressor on the features of frozen CLAPs.

reads   data/targets/train.csv, data/prepared/ clips, shards, encoders.clap, the CLAPs of
        regress.more_claps
writes  checkpoints/regress/
"""

from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.clap import checkpoints, kernel_machine, regressor
from soundjudge.clap.opening import Opening
from soundjudge.data import tables, xacle
from soundjudge.data.shards import Clips
from soundjudge.training import devices

TARGETS = Path("data/targets/train.csv")
PREPARED = Path("data/prepared")
CHECKPOINT = Path("checkpoints/regress")


def main() -> None:
    devices.deterministic()
    regression = params.load("regress", kernel_machine.Regression)
    opening = params.load("encoders.opening", Opening)
    named = regression.claps(params.load("encoders.clap", Path), opening)
    checkpoints.check_one_m2d([path for path, _ in named])
    device = devices.process(params.load("device", str)).device

    claps = [checkpoints.encoder(path, device, how) for path, how in named]
    targets = tables.read(TARGETS, tables.TARGETS)
    clip_ids = [xacle.clip_id(name) for name in targets["wav_file_name"]]
    scores = targets["mean_score"].to_numpy()
    machine = regressor.fit_rated(
        claps, Clips(PREPARED), clip_ids, list(targets["text"]), scores, regression
    )
    with artifacts.atomic_folder(CHECKPOINT) as folder:
        regressor.save(folder, machine, named, [clap.name() for clap in claps])


if __name__ == "__main__":
    main()
