"""Losses on values and differences: the clipped squared error and the pairwise margin loss.

Both take predictions and targets (..., P) and average over everything: each list of P items in the
leading dimensions counts alike. `weights` (..., P), of mean 1 over the training, are proportional
to one over the variance of each target's error.
"""

import torch
from torch import Tensor


def clipped_mse(
    prediction: Tensor, target: Tensor, tau: float, weights: Tensor | None = None
) -> Tensor:
    """Mean squared error without the errors up to `tau`; plain MSE at tau 0.

    UTMOS (Saeki et al. 2022), equation 1, as SPO-CLAPScore and the XACLE baselines use it. With
    weights and tau 0 it is, up to a constant, the likelihood of targets with normal errors.
    """
    error = prediction - target
    squares = torch.where(error.abs() > tau, error.square(), 0.0)
    return (squares if weights is None else squares * weights).mean()


def pairwise_margin(
    prediction: Tensor, target: Tensor, margin: float, weights: Tensor | None = None
) -> Tensor:
    """Half the mean of max(0, |differences of predictions - differences of targets| - margin).

    Over all ordered pairs of a list's P items, each with itself included. UTMOS, equation 2, halved
    as in the code of SPO-CLAPScore and the XACLE baselines. The variance of a difference is the sum
    of both variances, so its weight is the harmonic mean of both weights.
    """
    error = prediction - target  # the difference of differences is the difference of the errors
    differences = (error.unsqueeze(-1) - error.unsqueeze(-2)).abs()  # (..., P, P)
    losses = (differences - margin).clamp(min=0)
    if weights is not None:
        losses = losses * 2 / (1 / weights.unsqueeze(-1) + 1 / weights.unsqueeze(-2))
    return losses.mean() / 2
