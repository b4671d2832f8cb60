"""Reads the upstream corpora, checks every sound, stores the good and lists the rejected ones.

reads   the folders that params.yaml names under prepare
writes  data/prepared/ clips.parquet, captions.parquet, rated.parquet, ratings.parquet (no test
        labels), shards/, levels.json, rejected.csv; data/test_labels/ratings.parquet;
        metrics/prepare.json, metrics/details/prepare.json, metrics/prepare.md
"""

import os
import shutil
from pathlib import Path

from soundjudge import params
from soundjudge.data.corpora import intake, preparation
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.tables import tables
from soundjudge.doctor import consistency
from soundjudge.runtime import artifacts
from soundjudge.runtime.progress import log_line
from soundjudge.runtime.work import work_folder

PREPARED = Path("data/prepared")
TEST_LABELS = Path("data/test_labels")
METRICS = Path("metrics")
HEADLINE = ["found", "kept", "hours", "captions"]


def main() -> None:
    consistency.check_params()
    config = params.load("prepare", Preparation)

    corpora = preparation.list_corpora(config)
    identity = intake.intake_identity(corpora.sounds, config)
    work = work_folder("prepare", identity, [])
    with artifacts.atomic_folder(PREPARED) as folder:
        workers = os.cpu_count() or 1
        result = preparation.write_prepared(corpora, config, folder, work, workers, log_line)
    clips = tables.read_table(PREPARED / "clips.parquet", tables.CLIPS)["clip_id"]
    with artifacts.atomic_folder(TEST_LABELS) as folder:
        ratings = preparation.test_ratings(corpora, clips)
        tables.write_table(ratings, folder / "ratings.parquet", tables.RATINGS)
    artifacts.write_metrics(METRICS / "prepare.json", result.metrics(), HEADLINE)
    with artifacts.atomic_file(METRICS / "prepare.md") as page:
        page.write_text(result.page(), encoding="utf-8")
    shutil.rmtree(work.parent)  # work of other settings is as large, and not needed any more


if __name__ == "__main__":
    main()
