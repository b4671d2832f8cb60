"""A training's history as a picture: loss and validation by epoch."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from soundjudge import figures
from soundjudge.training.resume import Row


def history(rows: Sequence[Row], best_epoch: int, title: str, note: str) -> Figure:
    """Loss and validation (SRCC) by epoch, the best epoch marked; epoch 0 has no loss."""
    figure = figures.canvas(6, 4.5, title, note)
    above, below = figure.subplots(2, 1, sharex=True)
    panels = (
        (above, "loss", "loss (training)", "tab:blue"),
        (below, "validation", "SRCC (validation)", "tab:orange"),
    )
    for axes, name, label, color in panels:
        known = [row for row in rows if row[name] is not None]
        axes.plot([row["epoch"] for row in known], [row[name] for row in known], ".-", color=color)
        axes.axvline(best_epoch, color="tab:gray", linestyle=":")
        axes.set_ylabel(label)
    below.set_xlabel(f"epoch (best: {best_epoch})")
    return figure
