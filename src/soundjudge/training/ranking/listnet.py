"""ListNet: the loss that asks for the order and the distances within a list, not for a level.

Letters: L = lists, S = pairs in a list.
"""

from torch import Tensor
from torch.nn import functional


def listnet(prediction: Tensor, target: Tensor, temperature: float) -> Tensor:
    """-sum softmax(target / T) log_softmax(prediction), a value a list: both (L, S) to (L,).

    Top-one ListNet (Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise
    Approach", equations 3 and 4); the temperature stands at the targets only, as in the TMU system,
    so the minimum is at prediction = target / T + any constant of the list. In float32 always.
    """
    if prediction.shape != target.shape or prediction.ndim != 2:
        raise ValueError(
            f"listnet needs two equal (lists, size), got {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}."
        )
    wanted = functional.softmax(target.float() / temperature, dim=1)  # (L, S)
    given = functional.log_softmax(prediction.float(), dim=1)  # (L, S)
    return -(wanted * given).sum(dim=1)
