"""Language model training 1: caption sounds.

reads   data/features/, data/prepared/ clips, captions and rated texts, the language model
writes  checkpoints/caption/, metrics/caption.json and .md, plots/caption/history.csv
"""

import shutil
from pathlib import Path

import torch

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.labels.texts.text_overlap import without_rated_texts
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder
from soundjudge.training.caption import caption, caption_report

FEATURES, PREPARED = Path("data/features"), Path("data/prepared")
TABLES = [PREPARED / f"{name}.parquet" for name in ("clips", "captions", "rated")]
CHECKPOINT, HISTORY = Path("checkpoints/caption"), Path("plots/caption/history.csv")
METRICS, PAGE = Path("metrics/caption.json"), Path("metrics/caption.md")


def main() -> None:
    config = params.load("caption", caption.CaptionConfig)
    frontend = params.load("features.frontend", AudioFrontend)
    llm, encoder = params.load("encoders.llm", Path), params.load("encoders.audio", Path)
    excluded = params.load("pseudolabel.exclude_rated", tuple[str, ...])
    device = params.load("device", str)
    devices.make_deterministic()
    torch.manual_seed(config.seed)
    features, schemas = ArrayStore(FEATURES), (tables.CLIPS, tables.CAPTIONS, tables.RATED)
    clips, captions, rated = map(tables.read_table, TABLES, schemas)
    captions = without_rated_texts(captions, rated, excluded)
    pairs, validation_pairs = (
        caption.select_captioned(captions, clips, getattr(config, key), key)
        for key in ("train_splits", "validation_splits")
    )
    sample = caption_report.sample_clips(validation_pairs, config.generation.clips, config.seed)
    lalm = Lalm.from_llm(llm, config.model, frontend, features.shape[-1])
    work = work_folder("caption", [config, frontend, excluded], [FEATURES, *TABLES, llm])
    result = caption.train(
        lalm, features, pairs, validation_pairs, config, work=work, device=device, history=HISTORY
    )
    if devices.process_state(device).is_main_process:
        summary = caption.summarize(result)
        checkpoint.save_lalm(CHECKPOINT, lalm, encoder.as_posix(), summary)
        scores = caption_report.write_report(lalm, features, sample, config.generation, PAGE)
        artifacts.write_json(METRICS, summary | scores)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
