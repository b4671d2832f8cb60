"""Language model training 2: rank pairs as the teacher does.

reads   data/features/, data/prepared/ clips and captions, data/pseudo/pairs.parquet,
        checkpoints/caption/, with `warm_start: none` the language model named in params
writes  checkpoints/align/, metrics/align.json, plots/align/history.csv
"""

import shutil
from pathlib import Path

import torch

from soundjudge import artifacts, params
from soundjudge.data import tables
from soundjudge.data.rows import Rows
from soundjudge.model import checkpoint
from soundjudge.training import align, devices, loop
from soundjudge.training.start import start

FEATURES = Path("data/features")
CLIPS = Path("data/prepared/clips.parquet")
CAPTIONS = Path("data/prepared/captions.parquet")
PAIRS = Path("data/pseudo/pairs.parquet")
CAPTION = Path("checkpoints/caption")
CHECKPOINT = Path("checkpoints/align")
METRICS = Path("metrics/align.json")
HISTORY = Path("plots/align/history.csv")


def main() -> None:
    alignment = params.load("align", align.Alignment)
    llm, beats = params.load("encoders.llm", Path), params.load("encoders.beats", Path)
    device = params.load("device", str)

    devices.deterministic()
    torch.manual_seed(alignment.seed)
    features, clips = Rows(FEATURES), tables.read(CLIPS, tables.CLIPS)
    captions = tables.read(CAPTIONS, tables.CAPTIONS)
    labels = tables.read(PAIRS, tables.PAIRS)
    learnt, held_out = (
        align.labelled(labels, captions, clips, getattr(alignment, key), f"align.{key}")
        for key in ("train_splits", "validation_splits")
    )
    lalm = start({"caption": CAPTION}.get(alignment.warm_start), shape=CAPTION, llm=llm)
    inputs = [FEATURES, CLIPS, CAPTIONS, PAIRS, CAPTION, llm]
    work = artifacts.work_folder("align", alignment, inputs)
    fit = align.train(
        lalm, features, learnt, held_out, alignment, work=work, device=device, log=loop.say
    )

    if devices.process(device).is_main_process:
        summary = {"best_epoch": fit.best_epoch, "validation_srcc": fit.best_value}
        checkpoint.save(CHECKPOINT, lalm, beats.as_posix(), summary)
        artifacts.write_json(METRICS, summary)
        loop.write_history(HISTORY, fit.history)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
