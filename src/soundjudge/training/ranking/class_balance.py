"""Class-balanced weights: rare scores count as much as frequent ones.

Listeners give many high scores and few low ones, which hardly affect a plain mean over pairs.
Letters: N = pairs, C = classes.
"""

import numpy as np
from numpy.typing import NDArray

# Upper edges of the classes on the 0-10 scale, as in the XACLE baselines: 0-1, 1-2, ..., 9-10.
EDGES = np.arange(1.0, 10.0)


def class_weights(scores: NDArray[np.float64], beta: float) -> NDArray[np.float32]:
    """One over the effective number of pairs in each score's class, scaled to mean 1: (N,).

    The effective number of n pairs is (1 - beta^n) / (1 - beta): Cui et al. 2019, "Class-Balanced
    Loss", arXiv 1901.05555, equation 2. At beta 0 all weights are 1; towards beta 1 all classes
    weigh the same. `scores` (N,) are 0 to 10; a score on an edge belongs to the class below.
    """
    assert 0 <= beta < 1, f"beta is {beta}, it must be in [0, 1)"
    _, classes, counts = np.unique(
        np.searchsorted(EDGES, scores), return_inverse=True, return_counts=True
    )
    effective = (1 - beta**counts) / (1 - beta)  # (C,)
    weights: NDArray[np.float64] = 1 / effective[classes]  # (N,)
    return np.asarray(weights / weights.mean(), dtype=np.float32)
