"""Reads the upstream corpora, checks every sound, keeps what is sound and lists what is not.

reads   the folders that params.yaml names under prepare
writes  data/prepared/ clips.parquet, captions.parquet, rated.parquet, ratings.parquet (no test
        labels), shards/, rejected.csv; data/test_labels/ratings.parquet; metrics/prepare.json,
        metrics/prepare.md
"""

import os
import shutil
from pathlib import Path

from soundjudge import params
from soundjudge.data.corpora import coverage, intake, preparation
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts

PREPARED = Path("data/prepared")
TEST_LABELS = Path("data/test_labels")
METRICS = Path("metrics")


def main() -> None:
    settings = params.load("prepare", Preparation)

    corpora = preparation.list_corpora(settings)
    identity = intake.intake_identity(preparation.all_sounds(corpora), settings)
    work = artifacts.work_folder("prepare", identity, [])
    with artifacts.atomic_folder(PREPARED) as folder:
        workers = os.cpu_count() or 1
        prepared = preparation.write_prepared(corpora, settings, folder, work, workers, log=print)
    clips = tables.read_table(PREPARED / "clips.parquet", tables.CLIPS)["clip_id"]
    with artifacts.atomic_folder(TEST_LABELS) as folder:
        ratings = preparation.test_ratings(corpora, clips)
        tables.write_table(ratings, folder / "ratings.parquet", tables.RATINGS)
    numbers = coverage.coverage_metrics(prepared.coverage, prepared.overlap)
    artifacts.write_json(METRICS / "prepare.json", numbers)
    with artifacts.atomic_file(METRICS / "prepare.md") as page:
        page.write_text(
            coverage.coverage_page(prepared.coverage, prepared.overlap), encoding="utf-8"
        )
    shutil.rmtree(work.parent)  # what other settings left behind is as large, and of no more use


if __name__ == "__main__":
    main()
