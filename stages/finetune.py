"""Language model training 3, once a member: rank pairs as listeners do.

reads   data/targets/, data/features/, data/prepared/ clips and shards, checkpoints/pretrain/,
        checkpoints/caption/, and the encoder and language model named in params
writes  checkpoints/finetune/<member>/, metrics/ and plots/finetune/<member>
"""

import shutil
import sys
from pathlib import Path

import torch

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.model.audio.audio_encoder import load_audio_encoder
from soundjudge.model.lalm import checkpoint
from soundjudge.runtime import artifacts, devices
from soundjudge.training import finetune
from soundjudge.training.lalm.warm_start import initialize_lalm
from soundjudge.training.loop import loop

TARGETS = Path("data/targets")
FEATURES = Path("data/features")
PREPARED = Path("data/prepared")
WARM = {"pretrain": Path("checkpoints/pretrain"), "caption": Path("checkpoints/caption")}
CHECKPOINTS = Path("checkpoints/finetune")
METRICS = Path("metrics/finetune")
PLOTS = Path("plots/finetune")


def main(name: str) -> None:
    finetuning = params.load("finetune.training", finetune.FinetuneConfig)
    member = params.load(f"finetune.members.{name}", finetune.FinetuneMember)
    llm, encoder = params.load("encoders.llm", Path), params.load("encoders.audio", Path)
    device = params.load("device", str)
    devices.make_deterministic()
    torch.manual_seed(member.seed)
    train_pairs, validation_pairs = (
        tables.read_table(TARGETS / f"{split}.csv", tables.TARGETS)
        for split in ("train", "validation")
    )
    sounds = finetune.TrainingSounds(
        ArrayStore(FEATURES),
        ClipStore(PREPARED),
        load_audio_encoder(encoder, devices.process_state(device).device),
        member.specaugment,
    )
    lalm = initialize_lalm(WARM.get(member.warm_start), shape=WARM["caption"], llm=llm)
    inputs = [TARGETS, FEATURES, PREPARED / "clips.parquet", *WARM.values(), llm, encoder]
    work = artifacts.work_folder("finetune", [finetuning, member], inputs)
    fit = finetune.train(
        lalm,
        sounds,
        train_pairs,
        validation_pairs,
        finetuning,
        member,
        work=work,
        device=device,
        log=loop.log_line,
    )

    if devices.process_state(device).is_main_process:
        summary = {"best_epoch": fit.best_epoch, "validation_srcc": fit.best_value}
        checkpoint.save_lalm(CHECKPOINTS / name, lalm, encoder.as_posix(), summary)
        artifacts.write_json(METRICS / f"{name}.json", summary)
        loop.write_history(PLOTS / name / "history.csv", fit.history)
        shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1])
