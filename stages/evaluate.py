"""How well members and ensemble agree with listeners: the only stage that reads test labels.

reads   data/prepared/ratings.parquet (validation), data/test_labels/ratings.parquet,
        data/predictions/members/, data/predictions/ensemble/, checkpoints/ensemble.json
writes  metrics/evaluate.json, metrics/evaluate.md, metrics/systems.csv, plots/evaluate/*.png
"""

import logging
from pathlib import Path

import pandas as pd

from soundjudge import artifacts, figures, params
from soundjudge.data import tables
from soundjudge.scoring import ensemble, evaluation, panel, plots

RATINGS = Path("data/prepared/ratings.parquet")
TEST_RATINGS = Path("data/test_labels/ratings.parquet")
PREDICTIONS = Path("data/predictions")
ENSEMBLE = Path("checkpoints/ensemble.json")
METRICS = Path("metrics")
PLOTS = Path("plots/evaluate")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rules = params.load("evaluate", evaluation.Evaluation)
    fitted = ensemble.from_json(artifacts.read_json(ENSEMBLE), str(ENSEMBLE))

    ratings = pd.concat([tables.read(path, tables.RATINGS) for path in (RATINGS, TEST_RATINGS)])
    for stranger in panel.strangers(PREDICTIONS / "members", fitted.members):
        logging.warning("%s/members/%s is no member: not judged", PREDICTIONS, stranger)
    # Without test labels there is nothing to say about test.
    splits = [
        evaluation.judged(
            panel.with_ensemble(PREDICTIONS, fitted.members, split),
            ratings[ratings["split"] == split],
            rules,
        )
        for split in ("validation", "test")
        if (ratings["split"] == split).any()
    ]

    artifacts.write_json(METRICS / "evaluate.json", evaluation.results(splits, rules.note))
    evaluation.write_page(splits, fitted, rules.note, METRICS / "evaluate.md")
    evaluation.write_generators(splits, rules.note, METRICS / "systems.csv")
    with artifacts.atomic_folder(PLOTS) as folder:
        figures.save(plots.agreement(splits, rules.note), folder / "srcc.png")
        for judged in splits:
            picture = plots.scatter(judged, judged.headline, rules.note)
            figures.save(picture, folder / f"{judged.split}.png")


if __name__ == "__main__":
    main()
