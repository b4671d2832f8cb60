"""Reads the upstream corpora, checks every sound, keeps what is sound and lists what is not.

reads   the folders that params.yaml names under prepare
writes  data/prepared/ clips.parquet, captions.parquet, rated.parquet, ratings.parquet (no test
        labels), shards/, rejected.csv; data/test_labels/ratings.parquet; metrics/prepare.json,
        metrics/prepare.md
"""

import os
import shutil
from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.data import coverage, intake, preparation, tables
from soundjudge.data.acceptance import Preparation

PREPARED = Path("data/prepared")
TEST_LABELS = Path("data/test_labels")
METRICS = Path("metrics")


def main() -> None:
    settings = params.load("prepare", Preparation)

    corpora = preparation.listed(settings)
    identity = intake.identity(preparation.sounds(corpora), settings)
    work = artifacts.work_folder("prepare", identity, [])
    with artifacts.atomic_folder(PREPARED) as folder:
        workers = os.cpu_count() or 1
        prepared = preparation.write(corpora, settings, folder, work, workers, log=print)
    clips = tables.read(PREPARED / "clips.parquet", tables.CLIPS)["clip_id"]
    with artifacts.atomic_folder(TEST_LABELS) as folder:
        ratings = preparation.quarantined(corpora, clips)
        tables.write(ratings, folder / "ratings.parquet", tables.RATINGS)
    numbers = coverage.metrics(prepared.coverage, prepared.overlap)
    artifacts.write_json(METRICS / "prepare.json", numbers)
    with artifacts.atomic_file(METRICS / "prepare.md") as page:
        page.write_text(coverage.page(prepared.coverage, prepared.overlap), encoding="utf-8")
    shutil.rmtree(work.parent)  # what other settings left behind is as large, and of no more use


if __name__ == "__main__":
    main()
