"""Language model training 1: say what is heard.

reads   data/features/, data/prepared/ clips and captions, the language model named in params
writes  checkpoints/caption/, metrics/caption.json and .md, plots/caption/history.csv
"""

import shutil
from pathlib import Path

import torch

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.runtime import artifacts, devices
from soundjudge.training import caption
from soundjudge.training.captions import caption_report
from soundjudge.training.loop import loop

FEATURES = Path("data/features")
CLIPS = Path("data/prepared/clips.parquet")
CAPTIONS = Path("data/prepared/captions.parquet")
CHECKPOINT = Path("checkpoints/caption")
METRICS = Path("metrics/caption.json")
PAGE = Path("metrics/caption.md")
HISTORY = Path("plots/caption/history.csv")


def main() -> None:
    captioning = params.load("caption", caption.CaptionConfig)
    frontend = params.load("features.frontend", AudioFrontend)
    llm, encoder = params.load("encoders.llm", Path), params.load("encoders.audio", Path)
    device = params.load("device", str)

    devices.make_deterministic()
    torch.manual_seed(captioning.seed)
    features, clips = ArrayStore(FEATURES), tables.read_table(CLIPS, tables.CLIPS)
    captions = tables.read_table(CAPTIONS, tables.CAPTIONS)
    train_pairs, validation_pairs = (
        caption.select_captioned(captions, clips, getattr(captioning, key), f"caption.{key}")
        for key in ("train_splits", "validation_splits")
    )
    chosen = caption_report.sample_clips(
        validation_pairs, captioning.generation.clips, captioning.seed
    )
    lalm = Lalm.from_llm(llm, captioning.model, frontend, features.shape[-1])
    settings = {"caption": captioning, "frontend": frontend}
    work = artifacts.work_folder("caption", settings, [FEATURES, CLIPS, CAPTIONS, llm])
    fit = caption.train(
        lalm,
        features,
        train_pairs,
        validation_pairs,
        captioning,
        work=work,
        device=device,
        log=loop.log_line,
    )

    if devices.process_state(device).is_main_process:
        checkpoint.save_lalm(CHECKPOINT, lalm, encoder.as_posix(), caption.summarize(fit))
        said = caption_report.write_report(lalm, features, chosen, captioning.generation, PAGE)
        artifacts.write_json(METRICS, caption.summarize(fit) | said)
        loop.write_history(HISTORY, fit.history)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
