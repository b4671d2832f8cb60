"""The optimizer of the stand-ins: AdamW, a one-cycle schedule, clipped gradients."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class OneCycle:
    """Smith and Topin 2017, "Super-Convergence", arXiv 1708.07120: a rise, then a cosine to 0."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, steps: int
    ) -> None:
        self.parameters = list(parameters)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=learning_rate, weight_decay=0.01)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, learning_rate, total_steps=steps, pct_start=0.1
        )

    def step(self, loss: Tensor) -> None:
        """One update of the parameters."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.schedule.step()
