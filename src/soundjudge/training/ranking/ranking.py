"""What the two trainings that rank pairs share: lists of a fixed size and the loss over one.

Letters: L = lists, S = pairs in a list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.model.lalm.adaptation import LlmTraining
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.ranking.listmle import listmle
from soundjudge.training.ranking.listnet import listnet
from soundjudge.training.ranking.losses import clipped_mse, pairwise_margin

ListLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, kw_only=True)
class RankingConfig:
    """The settings that `align` and `finetune` both have."""

    llm: LlmTraining  # how the language model takes part, beside projector and score head
    list_size: int
    loss: Literal["listnet", "listmle", "margin", "mse"]
    temperature: float  # of listnet: divides the targets
    margin: float  # of margin: error of a difference that costs nothing, in sd of the targets
    eval_batch_size: int  # pairs at once in validation
    optimization: Optimization  # its items are lists

    def __post_init__(self) -> None:
        """Refuses a list without an order and numbers without a meaning."""
        if self.list_size < 2:
            raise ValueError(f"list_size is {self.list_size}; an order needs at least 2.")
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0.")
        if self.margin < 0:
            raise ValueError(f"margin is {self.margin}; it must not be negative.")
        if self.eval_batch_size < 1:
            raise ValueError(f"eval_batch_size is {self.eval_batch_size}; it must be at least 1.")


def list_loss(ranking: RankingConfig, targets: NDArray[np.float32]) -> ListLoss:
    """The loss of predictions, targets and weights of pairs, each (L, S): the mean over lists.

    `targets` (P,) are all that training sees. margin and mse measure errors in their standard
    deviations: that is the loss on standardized targets, with predictions on the targets' own
    scale. Weights are of pairs. margin and mse take them pair by pair; listnet and listmle as one
    weight a list, the harmonic mean over its pairs: one over the mean variance. Weights on
    ListNet's single terms would move its minimum, to a softmax in which sure pairs score higher.
    """
    spread = float(np.std(targets, dtype=np.float64))
    if spread == 0:
        raise ValueError(f"all {len(targets)} targets are the same: there is no order to learn.")

    def loss(prediction: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        if ranking.loss == "mse":
            return clipped_mse(prediction / spread, target / spread, 0.0, weights)
        if ranking.loss == "margin":
            return pairwise_margin(prediction / spread, target / spread, ranking.margin, weights)
        if ranking.loss == "listnet":
            losses = listnet(prediction, target, ranking.temperature)  # (L,)
        else:
            losses = listmle(prediction, target)  # (L,)
        return losses.mean() if weights is None else (losses / (1 / weights).mean(dim=1)).mean()

    return loss
