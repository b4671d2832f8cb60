"""Fits CLAP to the listeners' targets: SPO-CLAPScore, the pseudo-label teacher and a member.

reads   data/targets/{train,validation}.csv, data/targets/global.json, data/prepared/ clips, shards,
        encoders.clap
writes  checkpoints/clapscore/, metrics/tune.json, plots/tune/{history.csv,history.png}
"""

import shutil
from pathlib import Path

from soundjudge import artifacts, figures, params
from soundjudge.clap import checkpoints
from soundjudge.clap.clapscore import ClapScore
from soundjudge.clap.opening import Opening
from soundjudge.data import tables
from soundjudge.data.shards import Clips
from soundjudge.training import devices, loop, plots, tune

TARGETS = Path("data/targets")
PREPARED = Path("data/prepared")
CHECKPOINT = Path("checkpoints/clapscore")
METRICS = Path("metrics/tune.json")
PLOTS = Path("plots/tune")


def main() -> None:
    devices.deterministic()
    tuning = params.load("tune", tune.Tuning)
    encoder = checkpoints.located(params.load("encoders.clap", Path))
    opening = params.load("encoders.opening", Opening)
    device = params.load("device", str)
    note = params.load("evaluate.note", str)

    scale = artifacts.read_json(TARGETS / "global.json")
    train, validation = (
        tune.rated_pairs(
            tables.read(TARGETS / f"{split}.csv", tables.TARGETS), tuning.target, **scale
        )
        for split in ("train", "validation")
    )
    model = ClapScore(checkpoints.tunable(encoder, "cpu", opening), **scale)
    work = artifacts.work_folder("tune", tuning, [TARGETS, PREPARED / "clips.parquet", encoder])
    fit = tune.tune(
        model, train, validation, Clips(PREPARED), tuning, work=work, device=device, log=loop.say
    )

    if devices.process(device).is_main_process:
        with artifacts.atomic_folder(CHECKPOINT) as folder:
            model.save(folder)
        with artifacts.atomic_folder(PLOTS) as folder:
            loop.write_history(folder / "history.csv", fit.history)
            picture = plots.history(fit.history, fit.best_epoch, "Tuning CLAP on listeners", note)
            figures.save(picture, folder / "history.png")
        summary = {"best_epoch": fit.best_epoch, "validation_srcc": fit.best_value}
        artifacts.write_json(METRICS, summary)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
