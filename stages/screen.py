"""Drops isolated ratings, careless listeners, both or none, and measures the effect.

reads   data/prepared/ratings.parquet
writes  data/screened/ratings.parquet, data/screened/{dropped,listeners}.csv, metrics/screen.json,
        metrics/details/screen.json, plots/screen/{ratings,listeners,agreement}.png
"""

from pathlib import Path

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.labels.ratings import listener_indicators, rating_plots, screening, screening_effect
from soundjudge.labels.ratings.config import Screening
from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts

RATINGS = Path("data/prepared/ratings.parquet")
SCREENED = Path("data/screened")
METRICS = Path("metrics/screen.json")
PLOTS = Path("plots/screen")
HEADLINE = ["note", "share_dropped", "listeners_dropped", "pairs_lost", "alpha_after"]
HEADLINE += ["ceiling_srcc_before", "ceiling_srcc_after"]


def main() -> None:
    rules = params.load("screen", Screening)
    note = params.load("note", str)

    ratings = tables.read_table(RATINGS, tables.RATINGS)
    kept, dropped = screening.screen_ratings(ratings, rules)
    listeners = listener_indicators.listener_indicators(ratings, rules)
    effect = screening_effect.compare_screening(ratings, kept, dropped)

    with artifacts.atomic_folder(SCREENED) as folder:
        tables.write_table(kept, folder / "ratings.parquet", tables.RATINGS)
        tables.write_table(dropped, folder / "dropped.csv", screening.DROPPED)
        tables.write_table(listeners, folder / "listeners.csv", listener_indicators.LISTENERS)
    with artifacts.atomic_folder(PLOTS) as folder:
        plotting.save_figure(
            rating_plots.plot_ratings(ratings, dropped, rules, note), folder / "ratings.png"
        )
        plotting.save_figure(
            rating_plots.plot_listeners(ratings, listeners, note), folder / "listeners.png"
        )
        plotting.save_figure(rating_plots.plot_agreement(effect, note), folder / "agreement.png")
    artifacts.write_metrics(METRICS, {"note": note, **effect}, HEADLINE)


if __name__ == "__main__":
    main()
