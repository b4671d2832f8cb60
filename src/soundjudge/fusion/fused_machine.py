"""Support vector regression on features of CLAP and on statistics of another model at once.

Two radial kernels are multiplied: pairs are near each other where they are near in both.
N pairs, V support vectors, E embedding dimensions of all CLAPs, S statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundjudge.clap.regression.kernel_machine import (
    Embeddings,
    Floats,
    KernelMachine,
    RegressionConfig,
    embedding_widths,
    kernel_gamma,
    pair_features,
    squared_distances,
    unit_rows,
)
from soundjudge.ranges import check_range

if TYPE_CHECKING:  # params.yaml is read without torch
    from soundjudge.clap.encoders.encoder import Dimensions


KERNEL_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class FusionConfig(RegressionConfig):
    """Section `fusion` of params.yaml."""

    likelihood_weight: float
    "of the mean squared distance in the captioner's statistics, against 1 of CLAP's features"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "likelihood_weight", least=1e-6, most=1e6)


@dataclass(frozen=True, kw_only=True)
class FusedMachine:
    """All that the regression learned."""

    clap: KernelMachine  # its weights and intercept are those of the product
    statistics: Floats  # (V, S) standardized
    center: Floats  # (S,) of the statistics
    scale: Floats  # (S,)
    low: Floats  # (S,) of the standardized statistics of all training pairs
    high: Floats  # (S,)
    weight: Floats  # (1,) likelihood_weight

    def __call__(self, sounds: Embeddings, texts: Embeddings, statistics: Floats) -> Floats:
        """Scores of pairs, (N, E), (N, E) and (N, S): (N,), 0 to 10 or a little outside."""
        return self.clap.scores(self.kernel(sounds, texts, statistics))

    def kernel(self, sounds: Embeddings, texts: Embeddings, statistics: Floats) -> Floats:
        """How near pairs are to the support vectors: (N, V), 0 to 1.

        Statistics beyond those of training count as the nearest of them: far from all support
        vectors a radial kernel is 0, and every pair would have one score.
        """
        standardized = (statistics - self.center) / self.scale  # (N, S)
        standardized = standardized.clip(self.low, self.high)
        squares = squared_distances(standardized, self.statistics) / statistics.shape[1]
        kernel: Floats = self.clap.kernel(sounds, texts) * np.exp(-self.weight * squares)
        return kernel


def fit_fused_machine(
    sounds: Embeddings,
    texts: Embeddings,
    dimensions: Sequence["Dimensions"],
    statistics: Floats,
    scores: Floats,
    config: FusionConfig,
) -> FusedMachine:
    """Support vector regression of scores (N,) in 0..10; the other arguments as in the machine."""
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    widths = embedding_widths(dimensions)
    raw = pair_features(sounds, texts, widths)  # (N, P)
    if config.normalize == "rows":
        raw = unit_rows(raw)
    features = StandardScaler().fit(raw)
    standardized = features.transform(raw)
    scaler = StandardScaler().fit(statistics)
    pairs = scaler.transform(statistics)  # (N, S)

    def machine(rows: Sequence[int], weights: Floats, intercept: Floats) -> FusedMachine:
        clap = KernelMachine(
            sounds=sounds[rows],
            texts=texts[rows],
            dimensions=widths,
            weights=weights,
            center=features.mean_,
            scale=features.scale_,
            intercept=intercept,
            gamma=kernel_gamma(standardized, config),
            rows=np.array([config.normalize == "rows"], dtype=np.int64),
        )
        return FusedMachine(
            clap=clap,
            statistics=pairs[rows],
            center=scaler.mean_,
            scale=scaler.scale_,
            low=pairs.min(axis=0),
            high=pairs.max(axis=0),
            weight=np.array([config.likelihood_weight]),
        )

    every = machine(range(len(scores)), np.zeros(len(scores)), np.zeros(1))
    svr = SVR(kernel="precomputed", C=config.c, epsilon=config.epsilon)
    # Libraries differ in the last digits by the processor, and so would all that is fitted to them.
    kernel = every.kernel(sounds, texts, statistics).round(KERNEL_DECIMALS)
    svr.fit(kernel, (scores - 5) / 5)
    return machine(svr.support_, svr.dual_coef_[0], svr.intercept_)
