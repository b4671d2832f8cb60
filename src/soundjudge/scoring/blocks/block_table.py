"""The table of a regressor's scores of validation, as they are and with shuffled features.

wav_file_name, text, `score`, and a column per shuffle: "<number> <name of the encoder>#<repeat>".
N pairs.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundjudge.runtime import artifacts

FILE = "encoder_blocks.csv"  # beside a member's predictions
PAIR = ["wav_file_name", "text"]
SCORE = "score"  # column: nothing is shuffled
DECIMALS = 6


def column_name(number: int, encoder: str, repeat: int) -> str:
    """Of a shuffle of one encoder; the number tells two of one name apart."""
    return f"{number} {encoder}#{repeat}"


def column_encoder(column: str) -> str:
    """Number and name of the encoder that a column is of."""
    return column.rpartition("#")[0]


def write_block_table(
    folder: Path, pairs: pd.DataFrame, scores: Mapping[str, NDArray[np.float64]]
) -> None:
    """Writes FILE: the pairs (N rows) with a column of scores (N,) for each name."""
    columns = {name: column.round(DECIMALS) for name, column in scores.items()}
    with artifacts.atomic_file(folder / FILE) as temporary:
        table = pairs[PAIR].reset_index(drop=True).assign(**columns)
        # The csv writer leaves a lone carriage return unquoted, which no reader accepts.
        has_returns = any("\r" in cell for name in PAIR for cell in table[name])
        quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if has_returns else csv.QUOTE_MINIMAL
        table.to_csv(temporary, index=False, lineterminator="\n", quoting=quoting)


def read_block_table(folder: Path) -> pd.DataFrame | None:
    """The table in a member's folder; None where it has none."""
    if not (folder / FILE).is_file():
        return None
    return pd.read_csv(folder / FILE, dtype=dict.fromkeys(PAIR, str), keep_default_na=False)
