"""Language model training 1: say what is heard.

reads   data/features/, data/prepared/ clips and captions, the language model named in params
writes  checkpoints/caption/, metrics/caption.json and .md, plots/caption/history.csv
"""

import shutil
from pathlib import Path

import torch

from soundjudge import artifacts, params
from soundjudge.data import tables
from soundjudge.data.shards import Rows
from soundjudge.model import checkpoint
from soundjudge.model.features import AudioFront
from soundjudge.model.lalm import Lalm
from soundjudge.training import caption, captions_said, devices, loop

FEATURES = Path("data/features")
CLIPS = Path("data/prepared/clips.parquet")
CAPTIONS = Path("data/prepared/captions.parquet")
CHECKPOINT = Path("checkpoints/caption")
METRICS = Path("metrics/caption.json")
PAGE = Path("metrics/caption.md")
HISTORY = Path("plots/caption/history.csv")


def main() -> None:
    captioning = params.load("caption", caption.Captioning)
    front = params.load("encode.front", AudioFront)
    llm, beats = params.load("encoders.llm", Path), params.load("encoders.beats", Path)
    device = params.load("device", str)

    devices.deterministic()
    torch.manual_seed(captioning.seed)
    features, clips = Rows(FEATURES), tables.read(CLIPS, tables.CLIPS)
    captions = tables.read(CAPTIONS, tables.CAPTIONS)
    learnt, held_out = (
        caption.captioned(captions, clips, getattr(captioning, key), f"caption.{key}")
        for key in ("train_splits", "validation_splits")
    )
    chosen = captions_said.drawn(held_out, captioning.generation.clips, captioning.seed)
    lalm = Lalm.from_llm(llm, captioning.model, front, features.shape[-1])
    settings = {"caption": captioning, "front": front}
    work = artifacts.work_folder("caption", settings, [FEATURES, CLIPS, CAPTIONS, llm])
    fit = caption.train(
        lalm, features, learnt, held_out, captioning, work=work, device=device, log=loop.say
    )

    if devices.process(device).is_main_process:
        checkpoint.save(CHECKPOINT, lalm, beats.as_posix(), caption.summary(fit))
        said = captions_said.report(lalm, features, chosen, captioning.generation, PAGE)
        artifacts.write_json(METRICS, caption.summary(fit) | said)
        loop.write_history(HISTORY, fit.history)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
