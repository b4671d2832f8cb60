"""Pictures of ratings for people: what screening dropped."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from soundjudge import figures
from soundjudge.labels import listeners


def screening(ratings: pd.DataFrame, rules: listeners.Screening, note: str) -> Figure:
    """Kept and dropped ratings by score, and how far apart the ratings of a pair lie."""
    kept = listeners.trusted(ratings, rules)
    figure = figures.canvas(9, 3.6, "Ratings before and after screening", note)
    by_score, by_range = figure.subplots(1, 2)

    score = ratings["score"].to_numpy(dtype=np.float64)
    edges = np.arange(-0.25, 10.5, 0.5)  # half points: whole and half ratings get a bar each
    by_score.hist([score[kept], score[~kept]], bins=edges, stacked=True, label=["kept", "dropped"])
    by_score.set(xlabel="rating (0 to 10)", ylabel="ratings")
    by_score.legend()

    spread = ratings.groupby(listeners.pair_numbers(ratings))["score"].agg(["min", "max"])
    by_range.hist(spread["max"] - spread["min"], bins=edges, color="tab:gray")
    if rules.method == "rating":
        by_range.axvline(rules.tolerance, color="tab:red", label="tolerance")
        by_range.legend()
    by_range.set(xlabel="largest minus smallest rating of a pair (points)", ylabel="pairs")
    return figure
