"""The length of a last fit: the epochs that validation selected, at the same learning rates."""

from dataclasses import dataclass, replace
from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.training.loop.history import HistoryRow, write_history
from soundjudge.training.loop.optimization import Optimization


@dataclass(frozen=True, kw_only=True)
class SelectedLength(Optimization):
    """The first `epochs` of an optimization that was planned for `planned_epochs`.

    A cosine over `epochs` alone would be another training than the one that was selected.
    """

    planned_epochs: int

    def rate(self, epoch: int, step: int) -> float:
        """The learning rate that the planned optimization has there."""
        return Optimization.rate(replace(self, epochs=self.planned_epochs), epoch, step)


def shorten(optimization: Optimization, epochs: int) -> SelectedLength:
    """An optimization that ends after `epochs`, 1 or more, whatever comes.

    Raises SoundjudgeError for more epochs than were planned.
    """
    if epochs > optimization.epochs:
        raise SoundjudgeError(
            f"validation selected {epochs} epochs, and params plan {optimization.epochs}: "
            "these are two trainings, run 'dvc repro' first"
        )
    changes = {"epochs": epochs, "patience": None, "planned_epochs": optimization.epochs}
    return SelectedLength(**vars(optimization) | changes)


def selected_epochs(metrics: Path) -> int:
    """The best epoch of a training by its metrics; 0 = its start was never surpassed."""
    if not metrics.is_file():
        raise SoundjudgeError(
            f"{metrics} does not exist, and with it the number of epochs of the last fit: "
            "train with validation first, by 'dvc repro'"
        )
    epochs = artifacts.read_json_object(metrics).get("best_epoch")
    if type(epochs) is not int or epochs < 0:
        raise SoundjudgeError(
            f"{metrics}: best_epoch is {epochs!r}, and a number of epochs is needed: it is no "
            "metrics of a training, run 'dvc repro' first"
        )
    return epochs


def write_untrained(history: Path) -> None:
    """The history of a training whose start was the best: it has no step."""
    row: HistoryRow = dict.fromkeys(("learning_rate", "loss", "validation"))
    write_history(history, [{"epoch": 0, "steps": 0, **row}])
