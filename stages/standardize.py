"""One target per pair: mean rating, mean standardized rating (SPO score) and latent score.

reads   data/screened/ratings.parquet, data/prepared/ratings.parquet
writes  data/targets/{train,validation}.csv, data/targets/{listeners,latent_listeners}.csv,
        data/targets/{global,shrinkage}.json, with target auto data/targets/choice.json,
        metrics/standardize.json, metrics/details/standardize.json
"""

import dataclasses
from pathlib import Path

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.labels.ratings import standardization
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.labels.study import choice
from soundjudge.runtime import artifacts

RATINGS = Path("data/screened/ratings.parquet")
PREPARED = Path("data/prepared/ratings.parquet")
TARGETS = Path("data/targets")
METRICS = Path("metrics/standardize.json")
HEADLINE = ["note", "listeners", "global_mean", "global_std", "train_pairs", "validation_pairs"]
HEADLINE += ["train_mean_score", "validation_mean_score", "noise", "mean_se", "chosen", "verdict"]


def main() -> None:
    config = params.load("standardize", Standardization)
    rules = params.load("screen", Screening)
    note = params.load("note", str)

    ratings = tables.read_table(RATINGS, tables.RATINGS)
    result = standardization.standardize_splits(ratings, config)
    study = None
    if config.target == "auto":
        prepared = tables.read_table(PREPARED, tables.RATINGS)
        study = choice.study_targets(prepared, rules, config)

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
        if study is not None:
            artifacts.write_json(folder / "choice.json", choice.choice_record(study))
    numbers = {"note": note} | standardization.summarize_targets(result)
    numbers |= {} if study is None else study.as_json()
    artifacts.write_metrics(METRICS, numbers, HEADLINE)


if __name__ == "__main__":
    main()
