"""Fits a kernel regressor on the features of frozen CLAPs.

reads   data/targets/ train.csv, global.json, data/prepared/ clips, shards, data/clap_features/,
        encoders.clap, regress.extra_encoders
writes  checkpoints/regress/; the last fit names other targets and another checkpoint
"""

import sys
from pathlib import Path

from soundjudge import params
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.features.stored_clap import load_stored
from soundjudge.clap.regression import kernel_machine, regressor
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.data.tables.target_scale import read_scale
from soundjudge.runtime import artifacts, devices

TARGETS = Path("data/targets")
PREPARED, CLAP_FEATURES = Path("data/prepared"), Path("data/clap_features")
CHECKPOINT = Path("checkpoints/regress")


def main(folder: Path = TARGETS, checkpoint: Path = CHECKPOINT) -> None:
    devices.make_deterministic()
    regression = params.load("regress", kernel_machine.RegressionConfig)
    sources = regression.claps(params.load("encoders.clap", ClapSource))
    checkpoints.check_one_m2d([source.path for source in sources])
    device = devices.process_state(params.load("device", str)).device

    clips = ClipStore(PREPARED)
    claps = [load_stored(source, device, clips, CLAP_FEATURES) for source in sources]
    targets = tables.read_table(folder / "train.csv", tables.TARGETS)
    clip_ids = [tables.rated_clip_id(name) for name in targets["wav_file_name"]]
    scale = vars(read_scale(folder))
    scores = regressor.target_scores(targets, regression.target, **scale)
    machine = regressor.fit_regressor(
        claps, clips, clip_ids, list(targets["text"]), scores, regression
    )
    with artifacts.atomic_folder(checkpoint) as temporary:
        regressor.save_regressor(temporary, machine, sources, [clap.name() for clap in claps])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
