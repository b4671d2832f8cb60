"""Drops ratings that nobody confirms, careless listeners, both or none, and says what that did.

reads   data/prepared/ratings.parquet
writes  data/screened/ratings.parquet, data/screened/{dropped,listeners}.csv, metrics/screen.json,
        plots/screen/{ratings,listeners,agreement}.png
"""

from pathlib import Path

from soundjudge import artifacts, figures, params
from soundjudge.data import tables
from soundjudge.labels import effect, indicators, plots, screening

RATINGS = Path("data/prepared/ratings.parquet")
SCREENED = Path("data/screened")
METRICS = Path("metrics/screen.json")
PLOTS = Path("plots/screen")


def main() -> None:
    rules = params.load("screen", screening.Screening)
    note = params.load("evaluate.note", str)

    ratings = tables.read(RATINGS, tables.RATINGS)
    kept = screening.screen(ratings, rules)
    dropped = screening.dropped(ratings, rules)
    listeners = indicators.listeners(ratings, rules)
    numbers = effect.before_and_after(ratings, kept, dropped)

    with artifacts.atomic_folder(SCREENED) as folder:
        tables.write(kept, folder / "ratings.parquet", tables.RATINGS)
        tables.write(dropped, folder / "dropped.csv", screening.DROPPED)
        tables.write(listeners, folder / "listeners.csv", indicators.LISTENERS)
    with artifacts.atomic_folder(PLOTS) as folder:
        figures.save(plots.ratings(ratings, dropped, rules, note), folder / "ratings.png")
        figures.save(plots.listeners(ratings, listeners, note), folder / "listeners.png")
        figures.save(plots.agreement(numbers, note), folder / "agreement.png")
    artifacts.write_json(METRICS, {"note": note} | numbers)


if __name__ == "__main__":
    main()
