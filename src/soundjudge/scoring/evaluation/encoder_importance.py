"""Which of a regressor's encoders matter: how much SRCC falls when one's features are shuffled.

K encoders, N pairs of validation.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from soundjudge.reporting import metrics, plotting
from soundjudge.scoring.blocks import block_table
from soundjudge.scoring.ensemble.matching import PAIR, match_pairs

DECIMALS = 4
Falls = dict[str, dict[str, list[float]]]  # member -> encoder -> fall of SRCC, of each shuffle


def measure_falls(members: Path, names: Sequence[str], rated: pd.DataFrame) -> Falls:
    """Of each member with a block table in `members`: how far SRCC on validation falls.

    `rated` has the mean rating `average_score` of each pair of validation.
    """
    falls: Falls = {}
    for name in names:
        scores = block_table.read_block_table(members / name)
        if scores is None:
            continue
        file = (members / name / block_table.FILE).as_posix()
        table = match_pairs(scores, rated[[*PAIR, "average_score"]], file, "the ratings")
        whole = metrics.srcc(table[block_table.SCORE], table["average_score"])
        falls[name] = {}
        for column in scores.columns.drop([*PAIR, block_table.SCORE]):
            fall = whole - metrics.srcc(table[column], table["average_score"])
            encoder = block_table.column_encoder(column)
            falls[name].setdefault(encoder, []).append(round(float(fall), DECIMALS))
    return falls


def plot_falls(falls: Falls, note: str) -> Figure:
    """A bar per encoder, its mean fall of SRCC, and the range over the shuffles."""
    rows = [
        (f"{member}: {encoder.partition(' ')[2].partition('/')[0]}", values)
        for member, encoders in falls.items()
        for encoder, values in sorted(encoders.items(), key=lambda item: -np.mean(item[1]))
    ]
    title = "What each encoder brings a regressor, on validation"
    figure = plotting.create_figure(7.2, 1.3 + 0.4 * len(rows), title, note)
    axes = figure.subplots()
    for height, (_, values) in enumerate(reversed(rows)):
        axes.barh(height, np.mean(values), height=0.6, color="0.75", edgecolor="black")
        axes.plot([min(values), max(values)], [height, height], color="tab:blue", linewidth=2)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [label for label, _ in reversed(rows)])
    label = "fall of SRCC when its features are shuffled\n(line: from the least to the most)"
    axes.set(xlabel=label)
    return figure
