"""Mean scores of a table's systems: of several, one mean of all says nothing of any."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soundjudge.scoring.files.pair_table import PairTable

# Columns that name the system a sound comes from, ours first.
NAMES = ("model_id", "system", "system_id", "model", "generator")
SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class SystemMeans:
    """The systems of a table, by the column that names them."""

    column: str
    means: dict[str, float]  # the largest first; "" are rows that name none

    def sentence(self) -> str:
        """The means, largest first, without the last of many."""
        shown = [f"{name or 'none'} {mean:.4f}" for name, mean in self.means.items()][:SHOWN]
        rest = len(self.means) - len(shown)
        return (
            f"mean by {self.column}: {', '.join(shown)}{f' and {rest} more' if rest else ''}; "
            "`soundjudge report` compares systems, with intervals"
        )


def system_means(table: PairTable, scores: Mapping[int, float]) -> SystemMeans | None:
    """The means of scores by row; None for a table that is of one system, as far as it says."""
    cells = {name.strip().lower(): name for name in table.columns}
    for usual in NAMES:
        if usual not in cells:
            continue
        systems = table.column(cells[usual])
        of_system: dict[str, list[float]] = {}
        for row, score in scores.items():
            of_system.setdefault(systems[row].strip(), []).append(score)
        if 1 < len(of_system) < len(scores):  # else it names rows
            means = {name: float(np.mean(values)) for name, values in of_system.items()}
            ranked = sorted(means, key=lambda name: -means[name])
            return SystemMeans(column=cells[usual], means={name: means[name] for name in ranked})
    return None
