"""Losses on values, on differences, and on the order within a list.

The first two, on values and differences, take predictions and targets (..., P) and average over
everything: each list of P items in the leading dimensions counts alike. `weights` (..., P), of mean
1 over the training, are proportional to one over the variance of each target's error.
Letters of the others, on order: L = lists, S = pairs in a list.
"""

import torch
from torch import Tensor
from torch.nn import functional


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


def listmle(prediction: Tensor, target: Tensor) -> Tensor:
    """Minus the log-likelihood of the targets' order, per list: both (L, S) to (L,).

    ListMLE, a loss on the order within a list, not on distances.

    Xia et al. 2008, "Listwise Approach to Learning to Rank: Theory and Algorithm", section 4.2: the
    pairs are ranked one after the other, each with a probability proportional to exp(prediction)
    among the remaining ones. Equal targets keep their order in the list, which is random in every
    epoch. Always in float32.
    """
    assert prediction.shape == target.shape and prediction.ndim == 2, (
        f"listmle of {tuple(prediction.shape)} and {tuple(target.shape)}, not two equal (L, S)"
    )
    order = target.argsort(dim=1, descending=True, stable=True)  # (L, S)
    ranked = prediction.float().gather(1, order)  # (L, S), the best first
    size = ranked.shape[1]
    previous = torch.ones(size, size, dtype=torch.bool, device=ranked.device).tril(-1)  # (S, S)
    remaining = ranked.unsqueeze(1).masked_fill(previous, -torch.inf)  # (L, S, S)
    return (remaining.logsumexp(dim=2) - ranked).sum(dim=1)


def listnet(prediction: Tensor, target: Tensor, temperature: float) -> Tensor:
    """-sum softmax(target / T) log_softmax(prediction), per list: both (L, S) to (L,).

    ListNet, a loss on the order and the distances within a list, not on its level.

    Top-one ListNet (Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise
    Approach", equations 3 and 4); the temperature divides the targets only, as in the TMU system,
    so the minimum is at prediction = target / T + any constant per list. Always in float32.
    """
    assert prediction.shape == target.shape and prediction.ndim == 2, (
        f"listnet of {tuple(prediction.shape)} and {tuple(target.shape)}, not two equal (L, S)"
    )
    probabilities = functional.softmax(target.float() / temperature, dim=1)  # (L, S)
    log_predictions = functional.log_softmax(prediction.float(), dim=1)  # (L, S)
    return -(probabilities * log_predictions).sum(dim=1)
