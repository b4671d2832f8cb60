"""One target a pair: the mean rating, and the mean of the standardized ratings (SPO score).

reads   data/screened/ratings.parquet
writes  data/targets/{train,validation}.csv, data/targets/listeners.csv, data/targets/global.json,
        metrics/standardize.json
"""

import dataclasses
from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.data import tables
from soundjudge.labels import listeners

RATINGS = Path("data/screened/ratings.parquet")
TARGETS = Path("data/targets")
METRICS = Path("metrics/standardize.json")


def main() -> None:
    standardization = params.load("standardize", listeners.Standardization)
    note = params.load("evaluate.note", str)

    ratings = tables.read(RATINGS, tables.RATINGS)
    made = listeners.standards(ratings, standardization)

    with artifacts.atomic_folder(TARGETS) as folder:
        tables.write(made.train, folder / "train.csv", tables.TARGETS)
        tables.write(made.validation, folder / "validation.csv", tables.TARGETS)
        tables.write(made.listeners, folder / "listeners.csv", tables.LISTENERS)
        artifacts.write_json(folder / "global.json", dataclasses.asdict(made.overall))
    artifacts.write_json(METRICS, {"note": note} | listeners.summary(made))


if __name__ == "__main__":
    main()
