"""Fits CLAP without validation, for as many epochs as validation selected.

reads   a folder of targets, data/prepared/ clips, shards, data/clap_features/first/,
        encoders.clap, metrics/tune_clap.json
writes  a checkpoint and a history
"""

import shutil
import sys
from dataclasses import replace
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
from soundjudge.training.last_fit import selected_length
from soundjudge.training.tune_clap import tune_clap

PREPARED, CLAP_FEATURES = Path("data/prepared"), Path("data/clap_features")
SELECTION = Path("metrics/tune_clap.json")


def main(targets: Path, checkpoint: Path, history: Path) -> None:
    devices.make_deterministic()
    tuning = params.load("tune_clap", tune_clap.TuneConfig).with_choice(targets)
    source = params.load("encoders.clap", ClapSource)
    device = params.load("device", str)

    epochs = selected_length.selected_epochs(SELECTION)
    scale = vars(read_scale(targets))
    table = read_table(targets / "train.csv", TARGETS)
    pairs = tune_clap.rated_pairs(table, tuning.target, **scale)
    model = ClapScore(checkpoints.load_tunable(source, "cpu"), **scale)
    inputs = [targets, PREPARED / "clips.parquet", checkpoints.resolve_path(source.path)]
    work = work_folder("final_tune_clap", [tuning, epochs], inputs)
    if epochs > 0:  # else the CLAP as downloaded was the best
        tuning = replace(tuning, optimization=selected_length.shorten(tuning.optimization, epochs))
        clips = ClipStore(PREPARED)
        tune = partial(tune_clap.train, history=history, features=CLAP_FEATURES)
        tune(model, pairs, None, clips, tuning, work=work, device=device)

    if devices.process_state(device).is_main_process:
        if epochs == 0:
            selected_length.write_untrained(history)
        with artifacts.atomic_folder(checkpoint) as folder:
            model.save(folder)
        shutil.rmtree(work)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
