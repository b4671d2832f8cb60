"""One target a pair: mean rating, mean standardized rating (SPO score) and latent score.

reads   data/screened/ratings.parquet
writes  data/targets/{train,validation}.csv, data/targets/{listeners,latent_listeners}.csv,
        data/targets/{global,shrinkage}.json, metrics/standardize.json
"""

import dataclasses
from pathlib import Path

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.labels.ratings import standardization
from soundjudge.runtime import artifacts

RATINGS = Path("data/screened/ratings.parquet")
TARGETS = Path("data/targets")
METRICS = Path("metrics/standardize.json")


def main() -> None:
    config = params.load("standardize", standardization.Standardization)
    note = params.load("note", str)

    ratings = tables.read_table(RATINGS, tables.RATINGS)
    made = standardization.standardize_splits(ratings, config)

    with artifacts.atomic_folder(TARGETS) as folder:
        for split, targets in made.targets.items():
            tables.write_table(targets, folder / f"{split}.csv", tables.TARGETS)
        tables.write_table(made.scales.listeners, folder / "listeners.csv", tables.LISTENERS)
        habits = standardization.latent_listeners(made)
        tables.write_table(
            habits, folder / "latent_listeners.csv", standardization.LATENT_LISTENERS
        )
        artifacts.write_json(folder / "global.json", dataclasses.asdict(made.scales.overall))
        artifacts.write_json(
            folder / "shrinkage.json", standardization.shrinkage_summary(made.scales)
        )
    artifacts.write_json(METRICS, {"note": note} | standardization.summarize_targets(made))


if __name__ == "__main__":
    main()
