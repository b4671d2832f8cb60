"""ListMLE: a loss on the order within a list, not on distances.

Letters: L = lists, S = pairs in a list.
"""

import torch
from torch import Tensor


def listmle(prediction: Tensor, target: Tensor) -> Tensor:
    """Minus the log-likelihood of the targets' order, per list: both (L, S) to (L,).

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
