"""An exponential moving average of the weights, in their place where a model is validated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """The average of a module's trainable parameters over the steps; buffers are the last ones.

    Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging", with
    exponential weights. After step n the decay is (1 + n) / (10 + n) as long as this is below
    `decay`, so that the initial weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Moves the average towards the weights after so many steps."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        weights: list[Tensor] = [parameter.data for parameter in self.parameters.values()]
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(list(self.average.values()), weights, steps)

    def load(self, average: Mapping[str, Tensor]) -> None:
        """Continues from a stored average."""
        for name, tensor in self.average.items():
            tensor.copy_(average[name])

    def apply(self) -> None:
        """Writes the average into the module's parameters."""
        self._write(self.average)

    @contextmanager
    def substitute(self) -> Iterator[None]:
        """The average in the module's parameters, which are put back at the end."""
        weights = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.apply()
        try:
            yield
        finally:
            self._write(weights)

    @torch.no_grad()
    def _write(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[name])
