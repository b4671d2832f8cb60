"""Fits CLAP to the listeners' targets: SPO-CLAPScore, the pseudo-label teacher and a member.

reads   data/targets/{train,validation}.csv, data/targets/global.json, data/prepared/ clips, shards,
        encoders.clap
writes  checkpoints/clapscore/, metrics/tune_clap.json, plots/tune_clap/history.csv
"""

import shutil
from pathlib import Path

from soundjudge import params
from soundjudge.clap.clapscore import ClapScore
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import Opening
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts, devices
from soundjudge.training import tune_clap
from soundjudge.training.loop import loop

TARGETS = Path("data/targets")
PREPARED = Path("data/prepared")
CHECKPOINT = Path("checkpoints/clapscore")
METRICS = Path("metrics/tune_clap.json")
HISTORY = Path("plots/tune_clap/history.csv")


def main() -> None:
    devices.make_deterministic()
    tuning = params.load("tune_clap", tune_clap.TuneConfig)
    encoder = checkpoints.resolve_path(params.load("encoders.clap", Path))
    opening = params.load("encoders.opening", Opening)
    device = params.load("device", str)

    scale = artifacts.read_json(TARGETS / "global.json")
    train, validation = (
        tune_clap.rated_pairs(
            tables.read_table(TARGETS / f"{split}.csv", tables.TARGETS), tuning.target, **scale
        )
        for split in ("train", "validation")
    )
    model = ClapScore(checkpoints.load_tunable(encoder, "cpu", opening), **scale)
    work = artifacts.work_folder(
        "tune_clap", tuning, [TARGETS, PREPARED / "clips.parquet", encoder]
    )
    fit = tune_clap.train(
        model,
        train,
        validation,
        ClipStore(PREPARED),
        tuning,
        work=work,
        device=device,
        log=loop.log_line,
    )

    if devices.process_state(device).is_main_process:
        with artifacts.atomic_folder(CHECKPOINT) as folder:
            model.save(folder)
        loop.write_history(HISTORY, fit.history)
        summary = {"best_epoch": fit.best_epoch, "validation_srcc": fit.best_value}
        artifacts.write_json(METRICS, summary)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
