"""Bootstrap draws of the four metrics, and tests between two systems on the same pairs.

N = pairs, K = systems, R = resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from soundjudge.errors import SoundjudgeError
from soundjudge.reporting import resampling

Values: TypeAlias = NDArray[np.float64]

# Moments of a column x and a reference y, from which LCC and the parts of the error follow.
PRODUCTS: tuple[Callable[[Values, Values], Values], ...] = (
    lambda x, _: x,
    lambda _, y: y,
    lambda x, _: x * x,
    lambda _, y: y * y,
    lambda x, y: x * y,
)


NO_SPREAD = 1e-9  # of the largest number: the last digits are rounding
ROUNDING = 1e-12  # a smaller difference of two systems is none


@dataclass(frozen=True, kw_only=True)
class BootstrapDraws:
    """Each metric in each resample, (R, K) each; all systems share the resampled pairs.

    The mean squared error is the sum of its last three parts (Theil 1966): that of the mean, that
    of the slope, and what no straight line through the scores removes. The first two are squares,
    which resampling raises: where they are near 0 the interval may begin above the value.
    """

    srcc: Values
    lcc: Values
    ktau: Values  # to first order in the weights (`resampling.tau_draws`)
    mse: Values
    mse_bias: Values
    mse_slope: Values
    mse_rest: Values


def bootstrap(
    predictions: Values,
    reference: Values,
    *,
    resamples: int,
    seed: int,
    clusters: Sequence[NDArray[np.int32]] = (),
) -> BootstrapDraws:
    """Resamples pairs with replacement: predictions (N, K), reference (N,).

    `clusters`: as in `resampling.resample_weights`. A system that is constant in a resample has no
    correlation there: NaN. Raises SoundjudgeError for a vector that is constant altogether.
    """
    columns = [_scale_to_unit_range(values) for values in (reference, *predictions.T)]  # each (N,)
    ranked = [resampling.rank_column(values) for values in columns]
    terms = [resampling.tau_terms(values, reference) for values in predictions.T]
    moments = np.stack([f(c, columns[0]) for c in columns[1:] for f in PRODUCTS], axis=1)
    scale = np.ptp(predictions, axis=0), np.ptp(reference)
    centers = np.median(predictions, axis=0) - np.median(reference)
    blocks = []
    for counts in resampling.resample_weights(
        len(reference), resamples, seed=seed, clusters=clusters
    ):
        weights = np.ascontiguousarray(counts.T, dtype=np.float64)
        means = resampling.weighted_means(moments, weights).reshape(len(counts), -1, len(PRODUCTS))
        blocks.append(
            {
                "srcc": resampling.weighted_srcc(ranked[1:], ranked[0], weights),
                "ktau": np.stack([resampling.tau_draws(t, weights) for t in terms], axis=1),
            }
            | linear_metrics(means, centers, *scale)
        )
    return BootstrapDraws(
        **{f.name: np.concatenate([b[f.name] for b in blocks]) for f in fields(BootstrapDraws)}
    )


def linear_metrics(
    means: Values, centers: Values, prediction_scale: Values, reference_scale: np.float64
) -> dict[str, Values]:
    """LCC, MSE and its parts, (R, K) each, from the mean PRODUCTS (R, K, 5) of scaled columns."""
    x, y, xx, yy, xy = np.moveaxis(means, -1, 0)
    x_variance, y_variance = np.maximum(xx - x * x, 0), np.maximum(yy - y * y, 0)
    spread = x_variance * y_variance
    lcc = np.full(x.shape, np.nan)
    varies = spread > 1e-24  # rounding leaves more than 0 of a constant
    lcc[varies] = ((xy - x * y)[varies] / np.sqrt(spread[varies])).clip(-1, 1)
    r = np.where(varies, lcc, 0.0)
    prediction_sd = prediction_scale * np.sqrt(x_variance)
    reference_sd = reference_scale * np.sqrt(y_variance)
    parts = {
        "mse_bias": (centers + prediction_scale * x - reference_scale * y) ** 2,
        "mse_slope": (prediction_sd - r * reference_sd) ** 2,
        "mse_rest": (1 - r**2) * reference_sd**2,
    }
    return {"lcc": lcc, "mse": sum(parts.values(), np.zeros(x.shape)), **parts}


def p_value(differences: Values) -> float:
    """Two-sided p of a difference (R,): twice the share of resamples that reverse its sign."""
    differences = resampling.drop_undefined(differences)
    differences = np.where(np.abs(differences) < ROUNDING, 0, differences)
    tail = min(int(np.sum(differences <= 0)), int(np.sum(differences >= 0)))
    return min(1.0, 2 * (tail + 1) / (len(differences) + 1))


def williams(first: float, second: float, between: float, pairs: int) -> float:
    """Two-sided p that two correlations with one reference are equal (Williams 1959).

    `first`, `second`: each system's LCC with the reference; `between`: that of the two systems.
    Analytic, for normal data: a check on the bootstrap (Steiger 1980, equation 7).
    """
    if pairs < 4:
        raise SoundjudgeError(f"Williams' test needs at least 4 pairs: there are {pairs}")
    determinant = 1 - first**2 - second**2 - between**2 + 2 * first * second * between
    mean = (first + second) / 2
    denominator = 2 * (pairs - 1) / (pairs - 3) * determinant + mean**2 * (1 - between) ** 3
    if denominator <= 0:
        return 1.0  # the two systems are the same
    t = (first - second) * ((pairs - 1) * (1 + between) / denominator) ** 0.5
    return float(2 * stats.t.sf(abs(t), pairs - 3))


def _scale_to_unit_range(values: Values) -> Values:
    spread = np.ptp(values)
    if spread <= max(NO_SPREAD * np.abs(values).max(), float(np.finfo(np.float64).tiny)):
        raise SoundjudgeError("a system's scores or the mean ratings are constant: no correlation")
    # About the median, so that no outlier takes digits from the resamples without it.
    scaled: Values = (values - np.median(values)) / spread
    return scaled
