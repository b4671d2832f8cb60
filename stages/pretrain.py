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
from soundjudge.runtime.work import work_folder
from soundjudge.training import pretrain
from soundjudge.training.lalm.warm_start import initialize_lalm

FEATURES = Path("data/features")
CLIPS, CAPTIONS = Path("data/prepared/clips.parquet"), Path("data/prepared/captions.parquet")
PAIRS = Path("data/pseudo/pairs.parquet")
CAPTION, CHECKPOINT = Path("checkpoints/caption"), Path("checkpoints/pretrain")
METRICS, HISTORY = Path("metrics/pretrain.json"), Path("plots/pretrain/history.csv")


def main() -> None:
    config = params.load("pretrain", pretrain.PretrainConfig)
    llm, encoder = params.load("encoders.llm", Path), params.load("encoders.audio", Path)
    device = params.load("device", str)

    devices.make_deterministic()
    torch.manual_seed(config.seed)
    features, clips = ArrayStore(FEATURES), tables.read_table(CLIPS, tables.CLIPS)
    captions = tables.read_table(CAPTIONS, tables.CAPTIONS)
    labels = tables.read_table(PAIRS, tables.PAIRS)
    pairs, validation_pairs = (
        pretrain.select_pseudolabeled(labels, captions, clips, getattr(config, key), key)
        for key in ("train_splits", "validation_splits")
    )
    warm_start = {"caption": CAPTION}.get(config.warm_start)
    lalm = initialize_lalm(warm_start, reference=CAPTION, llm=llm)
    inputs = [FEATURES, CLIPS, CAPTIONS, PAIRS, CAPTION, llm]
    work = work_folder("pretrain", config, inputs)
    result = pretrain.train(
        lalm, features, pairs, validation_pairs, config, work=work, device=device, history=HISTORY
    )

    if devices.process_state(device).is_main_process:
        summary = {"best_epoch": result.best_epoch, "validation_srcc": result.best_value}
        checkpoint.save_lalm(CHECKPOINT, lalm, encoder.as_posix(), summary)
        artifacts.write_json(METRICS, summary)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
