"""Fits CLAP to the listeners' targets: SPO-CLAPScore, the pseudo-label teacher and a member.

reads   data/targets/{train,validation}.csv, data/targets/global.json, data/prepared/ clips, shards,
        data/clap_features/first/, encoders.clap
writes  checkpoints/clapscore/, metrics/tune_clap.json, plots/tune_clap/history.csv
"""

import shutil
from functools import partial
from pathlib import Path

from soundjudge import params
from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables.tables import TARGETS, read_table
from soundjudge.data.tables.target_scale import read_scale
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder
from soundjudge.training.tune_clap import tune_clap

PREPARED, CLAP_FEATURES = Path("data/prepared"), Path("data/clap_features")
TARGET_FOLDER = Path("data/targets")
CHECKPOINT = Path("checkpoints/clapscore")
METRICS = Path("metrics/tune_clap.json")
HISTORY = Path("plots/tune_clap/history.csv")


def main() -> None:
    devices.make_deterministic()
    tuning = params.load("tune_clap", tune_clap.TuneConfig).with_choice(TARGET_FOLDER)
    source = params.load("encoders.clap", ClapSource)
    device = params.load("device", str)

    inputs = [TARGET_FOLDER, PREPARED / "clips.parquet", checkpoints.resolve_path(source.path)]
    scale = vars(read_scale(TARGET_FOLDER))
    train, validation = (
        tune_clap.rated_pairs(
            read_table(TARGET_FOLDER / f"{split}.csv", TARGETS), tuning.target, **scale
        )
        for split in ("train", "validation")
    )
    model = ClapScore(checkpoints.load_tunable(source, "cpu"), **scale)
    clips, work = ClipStore(PREPARED), work_folder("tune_clap", tuning, inputs)
    tune = partial(tune_clap.train, history=HISTORY, features=CLAP_FEATURES)
    fit = tune(model, train, validation, clips, tuning, work=work, device=device)

    if devices.process_state(device).is_main_process:
        with artifacts.atomic_folder(CHECKPOINT) as folder:
            model.save(folder)
        summary = {"best_epoch": fit.best_epoch, "validation_srcc": fit.best_value}
        artifacts.write_json(METRICS, summary)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
