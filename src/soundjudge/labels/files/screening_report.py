"""The report of a screening: who was dropped and why, the listeners, and their agreement."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd

from soundjudge.errors import ReliabilityError, SoundjudgeError
from soundjudge.labels.files import rating_files
from soundjudge.labels.ratings import (
    agreement_intervals,
    listener_indicators,
    rating_plots,
    screening,
    screening_effect,
)
from soundjudge.labels.ratings.config import Screening
from soundjudge.labels.scales import Scale
from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts
from soundjudge.runtime.rounding import FLOAT_FORMAT

WHOLE: Literal["train"] = "train"  # stages screen by split; a file is one, not named
RESAMPLES, SEED = 200, 0


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """SoundjudgeError if a report or figures would be written over something unasked."""
    if folder.exists() and not folder.is_dir():
        raise SoundjudgeError(f"{folder} is no folder: name another")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise SoundjudgeError(f"{folder} is not empty: choose another folder, or --overwrite")


def write_report(path: Path, folder: Path, rules: Screening, scale: Scale | None) -> None:
    """Writes dropped.csv, listeners.csv, reliability.json and figures (PNG and PDF) to `folder`."""
    ratings = rating_files.read_ratings(path, scale).assign(split=WHOLE)
    rules = replace(rules, splits=(WHOLE,))
    kept, dropped = screening.screen_ratings(ratings, rules)
    listeners = listener_indicators.listener_indicators(ratings, rules)
    effect = screening_effect.compare_screening(ratings, kept, dropped)
    figures = {
        "ratings": rating_plots.plot_ratings(ratings, dropped, rules, ""),
        "listeners": rating_plots.plot_listeners(ratings, listeners, ""),
        "agreement": rating_plots.plot_agreement({"all ratings": effect[WHOLE]}, ""),
    }
    folder.mkdir(parents=True, exist_ok=True)
    # All texts in quotes: they may hold carriage returns, which the csv writer leaves bare.
    with artifacts.atomic_file(folder / "dropped.csv") as table:
        dropped.drop(columns="split").to_csv(table, index=False, quoting=csv.QUOTE_NONNUMERIC)
    with artifacts.atomic_file(folder / "listeners.csv") as table:
        listeners.drop(columns="split").to_csv(table, index=False, float_format=FLOAT_FORMAT)
    artifacts.write_json(
        folder / "reliability.json", {"before": _agreement(ratings), "after": _agreement(kept)}
    )
    for name, figure in figures.items():
        plotting.save_for_print(figure, folder / name)


def _agreement(ratings: pd.DataFrame) -> dict[str, object]:
    try:
        numbers = agreement_intervals.agreement_intervals(ratings, resamples=RESAMPLES, seed=SEED)
    except ReliabilityError as error:
        return {"not_measured": str(error)}
    return dict(numbers)
