"""What `pretrain` and `finetune` share: their settings and the loss over a list of pairs.

Letters: L = lists, S = pairs in a list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.adaptation import LlmTraining
from soundjudge.ranges import LARGEST_BATCH, check_range
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.ranking.losses import clipped_mse, listmle, listnet, pairwise_margin

ListLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, kw_only=True)
class RankingConfig:
    """The settings that `pretrain.training` and `finetune.training` share in params.yaml."""

    llm: LlmTraining
    list_size: int  # pairs per list
    loss: Literal["listnet", "listmle", "margin", "mse"]
    temperature: float  # of listnet: divides the targets
    margin: float = 0.1  # of margin: error of a difference that costs nothing, in target stds
    eval_batch_size: int  # pairs per batch in validation
    optimization: Optimization  # its items are lists

    def __post_init__(self) -> None:
        check_range(self, "list_size", least=2, most=LARGEST_BATCH, unit=", as an order needs")
        # Beyond these the loss depends on one pair, or on none.
        check_range(self, "temperature", least=0.001, most=1000)
        check_range(self, "margin", least=0, most=10, unit=" stds")
        check_range(self, "eval_batch_size", least=1, most=LARGEST_BATCH)


def list_loss(config: RankingConfig, targets: NDArray[np.float32]) -> ListLoss:
    """The loss of predictions, targets and weights of pairs, each (L, S): the mean over lists.

    `targets` (P,) are those of the whole training. margin and mse measure errors in their standard
    deviations: the loss on standardized targets, with predictions on the targets' own scale. margin
    and mse apply the weights per pair; listnet and listmle apply one weight per list, the harmonic
    mean over its pairs: one over their mean variance. Weights on ListNet's single terms would move
    its minimum, to a softmax in which certain pairs score higher.
    """
    std = float(np.std(targets, dtype=np.float64))
    if std == 0:
        raise SoundjudgeError(
            f"all {len(targets)} targets are the same: there is no order to learn."
        )

    def loss(prediction: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        if config.loss == "mse":
            return clipped_mse(prediction / std, target / std, 0.0, weights)
        if config.loss == "margin":
            return pairwise_margin(prediction / std, target / std, config.margin, weights)
        if config.loss == "listnet":
            losses = listnet(prediction, target, config.temperature)  # (L,)
        else:
            losses = listmle(prediction, target)  # (L,)
        return losses.mean() if weights is None else (losses / (1 / weights).mean(dim=1)).mean()

    return loss
