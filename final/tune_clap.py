"""Fits CLAP to the targets of all rated pairs, for as many epochs as validation selected.

reads   data/final/targets/, data/prepared/ clips, shards, encoders.clap, metrics/tune_clap.json
writes  checkpoints/final/clapscore/, plots/final/tune_clap.csv
"""

import shutil
from dataclasses import replace
from pathlib import Path

from soundjudge import params
from soundjudge.clap.clapscore import ClapScore
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables.tables import TARGETS, read_table
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder
from soundjudge.training import tune_clap
from soundjudge.training.last_fit import selected_length

PREPARED, TARGET_FOLDER = Path("data/prepared"), Path("data/final/targets")
SELECTION, HISTORY = Path("metrics/tune_clap.json"), Path("plots/final/tune_clap.csv")
CHECKPOINT = Path("checkpoints/final/clapscore")


def main() -> None:
    devices.make_deterministic()
    tuning = params.load("tune_clap", tune_clap.TuneConfig).with_choice(TARGET_FOLDER)
    source = params.load("encoders.clap", ClapSource)
    device = params.load("device", str)

    epochs = selected_length.selected_epochs(SELECTION)
    scale = artifacts.read_json(TARGET_FOLDER / "global.json")
    targets = read_table(TARGET_FOLDER / "train.csv", TARGETS)
    pairs = tune_clap.rated_pairs(targets, tuning.target, **scale)
    model = ClapScore(checkpoints.load_tunable(source, "cpu"), **scale)
    inputs = [TARGET_FOLDER, PREPARED / "clips.parquet", checkpoints.resolve_path(source.path)]
    work = work_folder("final_tune_clap", [tuning, epochs], inputs)
    if epochs > 0:  # else the CLAP as downloaded was the best
        tuning = replace(tuning, optimization=selected_length.shorten(tuning.optimization, epochs))
        clips = ClipStore(PREPARED)
        tune_clap.train(
            model, pairs, None, clips, tuning, work=work, device=device, history=HISTORY
        )

    if devices.process_state(device).is_main_process:
        if epochs == 0:
            selected_length.write_untrained(HISTORY)
        with artifacts.atomic_folder(CHECKPOINT) as folder:
            model.save(folder)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
