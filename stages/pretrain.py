"""Language model training 2, once per member: rank pairs as the teacher does.

reads   data/features/, data/prepared/ clips and captions, data/pseudo/pairs.parquet,
        checkpoints/caption/, with `warm_start: none` the language model named in params
writes  checkpoints/pretrain/<member>/, metrics/ and plots/pretrain/<member>
"""

import shutil
import sys
from pathlib import Path

import torch

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.model.lalm import checkpoint
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder
from soundjudge.training.lalm.warm_start import initialize_lalm
from soundjudge.training.pretrain import pretrain, teacher

FEATURES, PAIRS = Path("data/features"), Path("data/pseudo/pairs.parquet")
CLIPS, CAPTIONS = Path("data/prepared/clips.parquet"), Path("data/prepared/captions.parquet")
CAPTION, CHECKPOINTS = Path("checkpoints/caption"), Path("checkpoints/pretrain")
METRICS, HISTORIES = Path("metrics/pretrain"), Path("plots/pretrain")


def main(name: str) -> None:
    config = params.load("pretrain.training", pretrain.PretrainConfig)
    member = params.load(f"pretrain.members.{name}", pretrain.PretrainMember)
    llm, encoder = params.load("encoders.llm", Path), params.load("encoders.audio", Path)
    device = params.load("device", str)
    devices.make_deterministic()
    torch.manual_seed(member.seed)
    features, clips = ArrayStore(FEATURES), tables.read_table(CLIPS, tables.CLIPS)
    captions = tables.read_table(CAPTIONS, tables.CAPTIONS)
    labels = tables.read_table(PAIRS, tables.PAIRS)
    labels = teacher.teacher_labels(labels, captions, clips, features, CAPTION, config, device)
    train, validation = (
        pretrain.select_pseudolabeled(labels, captions, clips, getattr(config, key), key)
        for key in ("train_splits", "validation_splits")
    )
    warm_start = CAPTION if member.warm_start == "caption" else None
    lalm = initialize_lalm(warm_start, reference=CAPTION, llm=llm)
    inputs = [FEATURES, CLIPS, CAPTIONS, PAIRS, CAPTION, llm]
    work = work_folder("pretrain", [config, member], inputs)
    data, history = (features, train, validation), HISTORIES / name / "history.csv"
    result = pretrain.train(lalm, *data, config, member, work=work, device=device, history=history)

    if devices.process_state(device).is_main_process:
        summary = {"best_epoch": result.best_epoch, "validation_srcc": result.best_value}
        checkpoint.save_lalm(CHECKPOINTS / name, lalm, encoder.as_posix(), summary)
        artifacts.write_json(METRICS / f"{name}.json", summary)
        shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1])
