"""The rank correlation by which trainings select their epoch.

Apart from the metrics of an evaluation, so that a new one there retrains nothing.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from soundjudge.errors import SoundjudgeError


def rank_correlation(prediction: ArrayLike, target: ArrayLike) -> float:
    """Spearman's correlation of two vectors (P,), ties at their mean rank.

    Raises SoundjudgeError for predictions that are not finite or all equal.
    """
    values = np.asarray(prediction, dtype=np.float64)
    if not np.isfinite(values).all():
        raise SoundjudgeError("validation: some predictions are not finite: lower learning_rate")
    if np.ptp(values) == 0:
        raise SoundjudgeError(
            "validation: all predictions are equal, so nothing is ranked: lower learning_rate"
        )
    return float(stats.spearmanr(values, np.asarray(target, dtype=np.float64)).statistic)
