"""Drops ratings that no other rating of the same pair comes near.

reads   data/prepared/ratings.parquet
writes  data/screened/ratings.parquet, data/screened/dropped.csv, metrics/screen.json,
        plots/screen/ratings.png
"""

from pathlib import Path

from soundjudge import artifacts, figures, params
from soundjudge.data import tables
from soundjudge.labels import listeners, plots, reliability

RATINGS = Path("data/prepared/ratings.parquet")
SCREENED = Path("data/screened")
METRICS = Path("metrics/screen.json")
PLOTS = Path("plots/screen")


def main() -> None:
    screening = params.load("screen", listeners.Screening)
    note = params.load("evaluate.note", str)

    ratings = tables.read(RATINGS, tables.RATINGS)
    kept = listeners.screen(ratings, screening)
    dropped = listeners.dropped(ratings, screening)

    with artifacts.atomic_folder(SCREENED) as folder:
        tables.write(kept, folder / "ratings.parquet", tables.RATINGS)
        tables.write(dropped, folder / "dropped.csv", listeners.DROPPED)
    with artifacts.atomic_folder(PLOTS) as folder:
        figures.save(plots.screening(ratings, screening, note), folder / "ratings.png")
    numbers = reliability.before_and_after(ratings, kept, dropped)
    artifacts.write_json(METRICS, {"note": note} | numbers)


if __name__ == "__main__":
    main()
