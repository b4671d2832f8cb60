"""ListNet: a loss on the order and the distances within a list, not on its level.

Letters: L = lists, S = pairs in a list.
"""

from torch import Tensor
from torch.nn import functional


def listnet(prediction: Tensor, target: Tensor, temperature: float) -> Tensor:
    """-sum softmax(target / T) log_softmax(prediction), per list: both (L, S) to (L,).

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
