"""Fits a kernel regressor on the features of frozen CLAPs and the captioner's likelihood.

reads   data/targets/ train.csv and global.json, data/features/, data/prepared/ clips and shards,
        data/clap_features/, checkpoints/likelihood/, encoders.clap, fusion.extra_encoders
writes  checkpoints/fusion/; the last fit names other targets and another checkpoint
"""

import sys
from pathlib import Path

from soundjudge import params
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.features.stored_clap import load_stored
from soundjudge.clap.regression import regressor
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.data.tables.target_scale import read_scale
from soundjudge.fusion import fused_machine, fusion
from soundjudge.model.likelihood import likelihood
from soundjudge.runtime import artifacts, devices

TARGETS = Path("data/targets")
FEATURES, PREPARED = Path("data/features"), Path("data/prepared")
CLAP_FEATURES = Path("data/clap_features")
CAPTIONER, CHECKPOINT = Path("checkpoints/likelihood"), Path("checkpoints/fusion")


def main(folder: Path = TARGETS, checkpoint: Path = CHECKPOINT) -> None:
    devices.make_deterministic()
    config = params.load("fusion", fused_machine.FusionConfig)
    sources = config.claps(params.load("encoders.clap", ClapSource))
    checkpoints.check_one_m2d([source.path for source in sources])
    device = devices.process_state(params.load("device", str)).device

    clips = ClipStore(PREPARED)
    claps = [load_stored(source, device, clips, CLAP_FEATURES) for source in sources]
    captioner = likelihood.load_likelihood(CAPTIONER, device)
    targets = tables.read_table(folder / "train.csv", tables.TARGETS)
    clip_ids = [tables.rated_clip_id(name) for name in targets["wav_file_name"]]
    texts, scale = list(targets["text"]), vars(read_scale(folder))
    scores = regressor.target_scores(targets, config.target, **scale)
    stores = clips, ArrayStore(FEATURES)
    machine = fusion.fit_fusion(claps, captioner, *stores, clip_ids, texts, scores, config)
    with artifacts.atomic_folder(checkpoint) as temporary:
        names = [clap.name() for clap in claps]
        fusion.save_fusion(temporary, machine, CAPTIONER, sources, names)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
