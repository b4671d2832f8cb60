"""Language model training 3, once per member: rank pairs as listeners do.

reads   data/targets/, data/features/, data/prepared/ clips and shards, checkpoints/caption/, the
        member's start and captioner, the encoder and language model of params
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
from soundjudge.model.joint.joint_lalm import save
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder
from soundjudge.training.finetune import finetune
from soundjudge.training.finetune.preparation import join_captioner
from soundjudge.training.lalm.warm_start import initialize_lalm

TARGETS, FEATURES, PREPARED = Path("data/targets"), Path("data/features"), Path("data/prepared")
WARM_STARTS, CAPTION = Path("checkpoints"), Path("checkpoints/caption")
CHECKPOINTS, METRICS = Path("checkpoints/finetune"), Path("metrics/finetune")
HISTORIES = Path("plots/finetune")


def main(name: str) -> None:
    config = params.load("finetune.training", finetune.FinetuneConfig)
    member = params.load(f"finetune.members.{name}", finetune.FinetuneMember).with_choice(TARGETS)
    llm, encoder = params.load("encoders.llm", Path), params.load("encoders.audio", Path)
    device = params.load("device", str)
    devices.make_deterministic()
    torch.manual_seed(member.seed)
    targets = tables.read_table(TARGETS / "train.csv", tables.TARGETS)
    validation = tables.read_table(TARGETS / "validation.csv", tables.TARGETS)
    stores = ArrayStore(FEATURES), ClipStore(PREPARED)
    audio_encoder = load_audio_encoder(encoder, devices.process_state(device).device)
    sounds = finetune.TrainingSounds(*stores, audio_encoder, member.specaugment)
    warm_start, captioner = member.start(WARM_STARTS)
    lalm = initialize_lalm(warm_start, reference=CAPTION, llm=llm)
    model = join_captioner(lalm, captioner, device)
    inputs = [TARGETS, FEATURES, PREPARED / "clips.parquet", warm_start or llm, CAPTION, llm]
    work = work_folder("finetune", [config, member], [*inputs, encoder, captioner or CAPTION])
    data, history = (sounds, targets, validation), HISTORIES / name / "history.csv"
    result = finetune.train(model, *data, config, member, work=work, device=device, history=history)

    if devices.process_state(device).is_main_process:
        summary = {"best_epoch": result.best_epoch, "validation_srcc": result.best_value}
        save(CHECKPOINTS / name, model, encoder.as_posix(), summary)
        artifacts.write_json(METRICS / f"{name}.json", summary)
        shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1])
