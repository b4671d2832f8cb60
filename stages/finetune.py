"""Language model training 3, once a member: rank pairs as listeners do.

reads   data/targets/, data/features/, data/prepared/ clips and shards, checkpoints/align/,
        checkpoints/caption/, and the encoder and language model named in params
writes  checkpoints/finetune/<member>/, metrics/ and plots/finetune/<member>
"""

import shutil
import sys
from pathlib import Path

import torch

from soundjudge import artifacts, params
from soundjudge.data import tables
from soundjudge.data.rows import Rows
from soundjudge.data.shards import Clips
from soundjudge.model import checkpoint
from soundjudge.model.beats import load_beats
from soundjudge.training import devices, finetune, loop
from soundjudge.training.start import start

TARGETS = Path("data/targets")
FEATURES = Path("data/features")
PREPARED = Path("data/prepared")
WARM = {"align": Path("checkpoints/align"), "caption": Path("checkpoints/caption")}
CHECKPOINTS = Path("checkpoints/finetune")
METRICS = Path("metrics/finetune")
PLOTS = Path("plots/finetune")


def main(name: str) -> None:
    finetuning = params.load("finetune.training", finetune.Finetuning)
    member = params.load(f"finetune.members.{name}", finetune.Member)
    llm, beats = params.load("encoders.llm", Path), params.load("encoders.beats", Path)
    device = params.load("device", str)
    devices.deterministic()
    torch.manual_seed(member.seed)
    learnt, held_out = (
        tables.read(TARGETS / f"{split}.csv", tables.TARGETS) for split in ("train", "validation")
    )
    sounds = finetune.Sounds(Rows(FEATURES), Clips(PREPARED), load_beats(beats), member.specaugment)
    lalm = start(WARM.get(member.warm_start), shape=WARM["caption"], llm=llm)
    inputs = [TARGETS, FEATURES, PREPARED / "clips.parquet", *WARM.values(), llm, beats]
    work = artifacts.work_folder("finetune", [finetuning, member], inputs)
    fit = finetune.train(
        lalm, sounds, learnt, held_out, finetuning, member, work=work, device=device, log=loop.say
    )

    if devices.process(device).is_main_process:
        summary = {"best_epoch": fit.best_epoch, "validation_srcc": fit.best_value}
        checkpoint.save(CHECKPOINTS / name, lalm, beats.as_posix(), summary)
        artifacts.write_json(METRICS / f"{name}.json", summary)
        loop.write_history(PLOTS / name / "history.csv", fit.history)
        shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1])
