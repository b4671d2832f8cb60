"""Reads the upstream corpora, checks every sound, keeps what is sound and lists what is not.

reads   the folders that params.yaml names under prepare
writes  data/prepared/ clips.parquet, captions.parquet, rated.parquet, ratings.parquet (no test
        labels), shards/, rejected.csv; data/test_labels/ratings.parquet; metrics/prepare.json
"""

import os
from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.data import preparation, tables
from soundjudge.data.intake import Preparation

PREPARED = Path("data/prepared")
TEST_LABELS = Path("data/test_labels")
METRICS = Path("metrics/prepare.json")


def main() -> None:
    settings = params.load("prepare", Preparation)

    corpora = preparation.listed(settings)
    with artifacts.atomic_folder(PREPARED) as folder:
        workers = os.cpu_count() or 1
        coverage = preparation.write(corpora, settings, folder, workers, log=print)
    clips = tables.read(PREPARED / "clips.parquet", tables.CLIPS)["clip_id"]
    with artifacts.atomic_folder(TEST_LABELS) as folder:
        ratings = preparation.quarantined(corpora, clips)
        tables.write(ratings, folder / "ratings.parquet", tables.RATINGS)
    artifacts.write_json(METRICS, coverage)


if __name__ == "__main__":
    main()
