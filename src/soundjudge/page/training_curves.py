"""The learning curves of trainings as one HTML file: loss and validation over steps.

It reads the histories that trainings leave, after the fact: no stage depends on them by it.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from soundjudge.data.user_files.outputs import locked_output
from soundjudge.errors import SoundjudgeError
from soundjudge.html import figures, rendering
from soundjudge.html.figures import Axis
from soundjudge.runtime import artifacts

COLUMNS = ["epoch", "steps", "learning_rate", "loss", "validation"]  # of a history
CURVES = ("loss", "validation")
Points = list[tuple[float, float]]  # (steps, value), without the rows that have no value


@dataclass(frozen=True, kw_only=True)
class Training:
    """One history."""

    name: str  # its path below the folder of plots
    curves: dict[str, Points]
    best: int | None  # the epoch of the highest validation; None without validation

    @property
    def kind(self) -> str:
        """What its members share, and the axes of their pictures with it."""
        return self.name.rpartition("/")[0] or self.name


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A curve on the axes of its kind, in percent of both, downwards as in SVG."""

    label: str
    line: list[tuple[float, float]]
    steps: Axis
    values: Axis


def read_trainings(folder: Path) -> list[Training]:
    """The histories below a folder, sorted by name. Raises SoundjudgeError if there is none."""
    trainings = list(_trainings(folder))
    if not trainings:
        raise SoundjudgeError(
            f"{folder} has no history of a training: name the folder plots of a pipeline that ran"
        )
    return sorted(trainings, key=lambda training: training.name)


def _trainings(folder: Path) -> Iterator[Training]:
    for path in folder.rglob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                continue  # another table of plots
            rows = list(reader)
        stem = path.parent if path.name == "history.csv" else path.with_suffix("")
        validated = [
            (float(row["validation"]), -int(row["epoch"])) for row in rows if row["validation"]
        ]
        yield Training(
            name=stem.relative_to(folder).as_posix(),
            curves={
                name: [(float(row["steps"]), float(row[name])) for row in rows if row[name]]
                for name in CURVES
            },
            best=-max(validated)[1] if validated else None,
        )


def pictures(trainings: list[Training]) -> dict[str, list[Picture]]:
    """Loss and validation of each training by name; trainings of one kind share their axes."""
    by_member: dict[str, list[Picture]] = {}
    for _, group in groupby(trainings, key=lambda training: training.kind):
        members = list(group)
        for curve in CURVES:
            points = np.array([p for m in members for p in m.curves[curve]]).reshape(-1, 2)
            if not len(points):
                continue
            steps = figures.value_axis(np.append(points[:, 0], 0.0))
            values = figures.value_axis(points[:, 1])
            for member in members:
                line = [
                    (steps.percent(x), round(100 - values.percent(y), 2))
                    for x, y in member.curves[curve]
                ]
                picture = Picture(label=curve, line=line, steps=steps, values=values)
                by_member.setdefault(member.name, []).append(picture)
    return by_member


def write_curves(folder: Path, page: Path, *, note: str = "", overwrite: bool = False) -> int:
    """Writes the page of all trainings below a folder; returns how many there are.

    `note` says where the ratings come from, "" for listeners.
    """
    trainings = read_trainings(folder)
    with (
        locked_output(page, [], (".html",), overwrite=overwrite) as target,
        artifacts.atomic_file(target) as temporary,
    ):
        html = rendering.render(
            "training_curves.html",
            "soundjudge.page",
            trainings=trainings,
            pictures=pictures(trainings),
            note=rendering.ratings_sentence(note),
        )
        temporary.write_text(html, encoding="utf-8")
    return len(trainings)
