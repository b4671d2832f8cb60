"""The history of a training: a row per epoch, as CSV and in words."""

import csv
from pathlib import Path

from soundjudge.runtime import artifacts

HistoryRow = dict[str, float | int | None]  # epoch, steps, learning_rate, loss, validation


def write_history(path: Path, history: list[HistoryRow]) -> None:
    """Writes a training's history as CSV, six significant digits, empty cells for None."""
    with artifacts.atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        for row in history:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def describe_row(row: HistoryRow) -> str:
    """A row as a line of a log."""
    values = {name: "-" if value is None else f"{value:.5g}" for name, value in row.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())
