"""Language model training 2: rank pairs as the teacher does.

reads   data/features/, data/prepared/ clips and captions, data/pseudo/pairs.parquet,
        checkpoints/caption/, with `warm_start: none` the language model named in params
writes  checkpoints/pretrain/, metrics/pretrain.json, plots/pretrain/history.csv
"""

import shutil
from pathlib import Path

import torch

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.model.lalm import checkpoint
from soundjudge.runtime import artifacts, devices
from soundjudge.training import pretrain
from soundjudge.training.lalm.warm_start import initialize_lalm
from soundjudge.training.loop import loop

FEATURES = Path("data/features")
CLIPS = Path("data/prepared/clips.parquet")
CAPTIONS = Path("data/prepared/captions.parquet")
PAIRS = Path("data/pseudo/pairs.parquet")
CAPTION = Path("checkpoints/caption")
CHECKPOINT = Path("checkpoints/pretrain")
METRICS = Path("metrics/pretrain.json")
HISTORY = Path("plots/pretrain/history.csv")


def main() -> None:
    alignment = params.load("pretrain", pretrain.PretrainConfig)
    llm, encoder = params.load("encoders.llm", Path), params.load("encoders.audio", Path)
    device = params.load("device", str)

    devices.make_deterministic()
    torch.manual_seed(alignment.seed)
    features, clips = ArrayStore(FEATURES), tables.read_table(CLIPS, tables.CLIPS)
    captions = tables.read_table(CAPTIONS, tables.CAPTIONS)
    labels = tables.read_table(PAIRS, tables.PAIRS)
    train_pairs, validation_pairs = (
        pretrain.select_pseudolabeled(
            labels, captions, clips, getattr(alignment, key), f"pretrain.{key}"
        )
        for key in ("train_splits", "validation_splits")
    )
    lalm = initialize_lalm({"caption": CAPTION}.get(alignment.warm_start), shape=CAPTION, llm=llm)
    inputs = [FEATURES, CLIPS, CAPTIONS, PAIRS, CAPTION, llm]
    work = artifacts.work_folder("pretrain", alignment, inputs)
    fit = pretrain.train(
        lalm,
        features,
        train_pairs,
        validation_pairs,
        alignment,
        work=work,
        device=device,
        log=loop.log_line,
    )

    if devices.process_state(device).is_main_process:
        summary = {"best_epoch": fit.best_epoch, "validation_srcc": fit.best_value}
        checkpoint.save_lalm(CHECKPOINT, lalm, encoder.as_posix(), summary)
        artifacts.write_json(METRICS, summary)
        loop.write_history(HISTORY, fit.history)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
