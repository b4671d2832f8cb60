"""One target a pair: mean rating, mean standardized rating (SPO score) and latent score.

reads   data/screened/ratings.parquet
writes  data/targets/{train,validation}.csv, data/targets/{listeners,latent_listeners}.csv,
        data/targets/{global,shrinkage}.json, metrics/standardize.json
"""

import dataclasses
from pathlib import Path

from soundjudge import artifacts, params
from soundjudge.data import tables
from soundjudge.labels import standards

RATINGS = Path("data/screened/ratings.parquet")
TARGETS = Path("data/targets")
METRICS = Path("metrics/standardize.json")


def main() -> None:
    standardization = params.load("standardize", standards.Standardization)
    note = params.load("evaluate.note", str)

    ratings = tables.read(RATINGS, tables.RATINGS)
    made = standards.standards(ratings, standardization)

    with artifacts.atomic_folder(TARGETS) as folder:
        for split, targets in made.targets.items():
            tables.write(targets, folder / f"{split}.csv", tables.TARGETS)
        tables.write(made.scales.listeners, folder / "listeners.csv", tables.LISTENERS)
        habits = standards.latent_listeners(made)
        tables.write(habits, folder / "latent_listeners.csv", standards.LATENT_LISTENERS)
        artifacts.write_json(folder / "global.json", dataclasses.asdict(made.scales.overall))
        artifacts.write_json(folder / "shrinkage.json", standards.pull_numbers(made.scales))
    artifacts.write_json(METRICS, {"note": note} | standards.summary(made))


if __name__ == "__main__":
    main()
