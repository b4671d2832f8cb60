"""One target per pair: mean rating, mean standardized rating (SPO score) and latent score.

reads   data/screened/ratings.parquet
writes  data/targets/{train,validation}.csv, data/targets/{listeners,latent_listeners}.csv,
        data/targets/{global,shrinkage}.json, metrics/standardize.json,
        metrics/details/standardize.json
"""

import dataclasses
from pathlib import Path

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.labels.ratings import standardization
from soundjudge.labels.ratings.config import Standardization
from soundjudge.runtime import artifacts

RATINGS = Path("data/screened/ratings.parquet")
TARGETS = Path("data/targets")
METRICS = Path("metrics/standardize.json")
HEADLINE = ["note", "listeners", "global_mean", "global_std", "train_pairs", "validation_pairs"]
HEADLINE += ["train_mean_score", "validation_mean_score", "noise", "mean_se"]


def main() -> None:
    config = params.load("standardize", Standardization)
    note = params.load("note", str)

    ratings = tables.read_table(RATINGS, tables.RATINGS)
    result = standardization.standardize_splits(ratings, config)

    with artifacts.atomic_folder(TARGETS) as folder:
        for split, targets in result.targets.items():
            tables.write_table(targets, folder / f"{split}.csv", tables.TARGETS)
        tables.write_table(result.scales.listeners, folder / "listeners.csv", tables.LISTENERS)
        tables.write_table(
            standardization.latent_listeners(result),
            folder / "latent_listeners.csv",
            standardization.LATENT_LISTENERS,
        )
        artifacts.write_json(folder / "global.json", dataclasses.asdict(result.scales.overall))
        artifacts.write_json(
            folder / "shrinkage.json", standardization.shrinkage_summary(result.scales)
        )
    numbers = {"note": note} | standardization.summarize_targets(result)
    artifacts.write_metrics(METRICS, numbers, HEADLINE)


if __name__ == "__main__":
    main()
