"""Language model training 3 without validation, for as many epochs as validation selected.

reads   a folder of targets, data/features/, data/prepared/ clips and shards, checkpoints/caption/,
        the member's start and captioner, encoder and language model of params,
        metrics/finetune/<member>.json
writes  a checkpoint and a history
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables.tables import TARGETS, read_table
from soundjudge.model.audio.audio_encoder import load_audio_encoder
from soundjudge.model.joint.joint_lalm import save
from soundjudge.runtime import devices
from soundjudge.runtime.work import work_folder
from soundjudge.training.finetune import finetune
from soundjudge.training.finetune.preparation import join_captioner
from soundjudge.training.lalm.warm_start import initialize_lalm
from soundjudge.training.last_fit import selected_length

FEATURES, PREPARED, METRICS = Path("data/features"), Path("data/prepared"), Path("metrics/finetune")
WARM_STARTS, CAPTION = Path("checkpoints"), Path("checkpoints/caption")


def main(name: str, folder: Path, checkpoint: Path, history: Path) -> None:
    config = params.load("finetune.training", finetune.FinetuneConfig)
    member = params.load(f"finetune.members.{name}", finetune.FinetuneMember).with_choice(folder)
    llm, encoder = params.load("encoders.llm", Path), params.load("encoders.audio", Path)
    device = params.load("device", str)
    devices.make_deterministic()
    torch.manual_seed(member.seed)
    epochs = selected_length.selected_epochs(METRICS / f"{name}.json")
    targets = read_table(folder / "train.csv", TARGETS)
    warm_start, captioner = member.start(WARM_STARTS)
    lalm = initialize_lalm(warm_start, reference=CAPTION, llm=llm)
    model = join_captioner(lalm, captioner, device)
    inputs = [folder, FEATURES, PREPARED / "clips.parquet", warm_start or llm, CAPTION, llm]
    inputs += [encoder, captioner or CAPTION]
    work = work_folder("final_finetune", [config, member, epochs], inputs)
    if epochs > 0:  # else the start was the best
        stores = ArrayStore(FEATURES), ClipStore(PREPARED)
        audio_encoder = load_audio_encoder(encoder, devices.process_state(device).device)
        sounds = finetune.TrainingSounds(*stores, audio_encoder, member.specaugment)
        config = replace(config, optimization=selected_length.shorten(config.optimization, epochs))
        finetune.train(
            model, sounds, targets, None, config, member, work=work, device=device, history=history
        )

    if devices.process_state(device).is_main_process:
        if epochs == 0:
            selected_length.write_untrained(history)
        save(checkpoint, model, encoder.as_posix(), {"epochs": epochs})
        shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
