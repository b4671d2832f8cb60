"""Targets of all rated pairs, for the last fit: the only script here that reads test labels.

reads   data/prepared/ratings.parquet, data/test_labels/ratings.parquet, data/targets/
writes  data/final/targets/ train.csv, global.json, pairs.json, with target auto choice.json
"""

import dataclasses
import shutil
from pathlib import Path

import pandas as pd

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.doctor import consistency
from soundjudge.labels.last_fit import pooling
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.runtime import artifacts

RATINGS = [Path("data/prepared/ratings.parquet"), Path("data/test_labels/ratings.parquet")]
CHOICE, FINAL = Path("data/targets/choice.json"), Path("data/final/targets")


def main() -> None:
    consistency.check_params()
    rules = params.load("screen", Screening)
    config = params.load("standardize", Standardization)
    ratings = pd.concat([tables.read_table(path, tables.RATINGS) for path in RATINGS])
    pooled = pooling.pool_targets(ratings, rules, config)
    with artifacts.atomic_folder(FINAL) as folder:
        tables.write_table(pooled.targets, folder / "train.csv", tables.TARGETS)
        artifacts.write_json(folder / "global.json", dataclasses.asdict(pooled.overall))
        artifacts.write_json(folder / "pairs.json", pooled.pairs)
        if CHOICE.is_file():
            shutil.copyfile(CHOICE, folder / CHOICE.name)


if __name__ == "__main__":
    main()
