"""SRCC, LCC, KTAU and MSE of predictions against a reference: the challenge's four numbers.

N = number of pairs. Both vectors are (N,), N >= 2, finite and, for a correlation, not constant;
anything else raises SoundjudgeError, because the metric is not defined.
"""

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from soundjudge.errors import SoundjudgeError


def correlation_metrics(prediction: ArrayLike, reference: ArrayLike) -> dict[str, float]:
    """srcc, lcc, ktau, mse, and the number of pairs."""
    return {
        "srcc": srcc(prediction, reference),
        "lcc": lcc(prediction, reference),
        "ktau": ktau(prediction, reference),
        "mse": mse(prediction, reference),
        "pairs": np.size(prediction),
    }


def srcc(prediction: ArrayLike, reference: ArrayLike) -> float:
    """Spearman's rank correlation; ties get their mean rank."""
    x, y = _check_varying(prediction, reference)
    return float(scipy.stats.spearmanr(x, y).statistic)


def lcc(prediction: ArrayLike, reference: ArrayLike) -> float:
    """Pearson's linear correlation."""
    x, y = _check_varying(prediction, reference)
    return float(scipy.stats.pearsonr(x, y).statistic)


def ktau(prediction: ArrayLike, reference: ArrayLike) -> float:
    """Kendall's tau-b, which corrects for ties."""
    x, y = _check_varying(prediction, reference)
    return float(scipy.stats.kendalltau(x, y, variant="b").statistic)


def mse(prediction: ArrayLike, reference: ArrayLike) -> float:
    """Mean squared error, in squared points of the scale that both vectors are on."""
    x, y = _check_vectors(prediction, reference)
    return float(np.mean((x - y) ** 2))


def _check_vectors(
    prediction: ArrayLike, reference: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(prediction, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if x.ndim != 1 or y.ndim != 1 or len(x) != len(y):
        raise SoundjudgeError(
            f"prediction has shape {x.shape} and reference {y.shape}: need two equal (N,)"
        )
    if len(x) < 2:
        raise SoundjudgeError(f"a correlation needs at least 2 values: there are {len(x)}")
    for name, values in (("prediction", x), ("reference", y)):
        if not np.isfinite(values).all():
            raise SoundjudgeError(
                f"{name} has {int((~np.isfinite(values)).sum())} values that are not finite"
            )
    return x, y


def _check_varying(
    prediction: ArrayLike, reference: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = _check_vectors(prediction, reference)
    for name, values in (("prediction", x), ("reference", y)):
        if (values == values[0]).all():
            raise SoundjudgeError(f"{name} is constant ({values[0]}): its correlation is undefined")
    return x, y
