"""The losses of SPO-CLAPScore: squared error that forgives small ones, and a pairwise margin.

Both take predictions and targets (..., P) and average over everything: each list of P pairs in the
leading dimensions counts alike.
"""

import torch
from torch import Tensor


def clipped_mse(prediction: Tensor, target: Tensor, tau: float) -> Tensor:
    """Mean squared error in which errors up to `tau` count as none; plain MSE at tau 0.

    UTMOS (Saeki et al. 2022), equation 1, as SPO-CLAPScore and the XACLE baselines use it.
    """
    error = prediction - target
    return torch.where(error.abs() > tau, error.square(), 0.0).mean()


def pairwise_margin(prediction: Tensor, target: Tensor, margin: float) -> Tensor:
    """Half the mean of max(0, |differences of predictions - differences of targets| - margin).

    Over all ordered couples in a list of P, a pair with itself included. UTMOS, equation 2, halved
    as in the code of SPO-CLAPScore and the XACLE baselines.
    """
    error = prediction - target  # the difference of differences is the difference of the errors
    couples = (error.unsqueeze(-1) - error.unsqueeze(-2)).abs()  # (..., P, P)
    return (couples - margin).clamp(min=0).mean() / 2
