"""ListMLE: the loss that asks for the order within a list alone.

Letters: L = lists, S = pairs in a list.
"""

import torch
from torch import Tensor


def listmle(prediction: Tensor, target: Tensor) -> Tensor:
    """Minus the log-likelihood of the targets' order, a value a list: both (L, S) to (L,).

    Xia et al. 2008, "Listwise Approach to Learning to Rank: Theory and Algorithm", section 4.2: the
    pairs are drawn one after the other, each with a probability proportional to exp(prediction)
    among those still there. Equal targets go in the order in which they stand in the list, which is
    drawn anew for every epoch. In float32 always.
    """
    if prediction.shape != target.shape or prediction.ndim != 2:
        raise ValueError(
            f"listmle needs two equal (lists, size), got {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}."
        )
    order = target.argsort(dim=1, descending=True, stable=True)  # (L, S)
    drawn = prediction.float().gather(1, order)  # (L, S), the best first
    size = drawn.shape[1]
    gone = torch.ones(size, size, dtype=torch.bool, device=drawn.device).tril(-1)  # (S, S)
    there = drawn.unsqueeze(1).masked_fill(gone, -torch.inf)  # (L, S, S)
    return (there.logsumexp(dim=2) - drawn).sum(dim=1)
