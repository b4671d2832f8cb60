"""One step of the optimizer from the mean loss over a step's items, on one process or many."""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from soundjudge.training.loop.optimization import Optimization

Indices = NDArray[np.int64]
M = TypeVar("M", bound=nn.Module)
Loss = Callable[[M, Indices, torch.Generator], Tensor]


class _Loss(nn.Module, Generic[M]):
    """A loss as a module that holds what it trains: all that DistributedDataParallel knows."""

    def __init__(self, module: M, loss: Loss[M]) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, items: Indices, generator: torch.Generator) -> Tensor:
        """The mean over the items."""
        return self.loss(self.module, items, generator)


class Updates(Generic[M]):
    """The optimizer of a module's trainable parameters, and the gradients that move them."""

    def __init__(self, module: M, loss: Loss[M], optimization: Optimization) -> None:
        self.optimization, self.place = optimization, PartialState()
        self.trained = [p for p in module.parameters() if p.requires_grad]
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[optimization.optimizer]
        rate, decay = optimization.learning_rate, optimization.weight_decay
        self.optimizer = kind(self.trained, lr=rate, weight_decay=decay, fused=True)
        self.loss: nn.Module = _Loss(module, loss)
        if self.place.num_processes > 1:
            # Gradients are averaged in buckets while those before them are still being computed. A
            # training may leave a part out, the same in every step (captions the score head): a
            # static graph keeps it without a gradient.
            self.loss = DistributedDataParallel(self.loss, static_graph=True)

    def step(self, batch: Indices, rate: float, generator: torch.Generator) -> Tensor:
        """One update from the mean over the items of `batch`; the loss summed over our share."""
        place = self.place
        share = np.array_split(batch, place.num_processes)[place.process_index]
        weight = len(share) * place.num_processes / len(batch)
        bf16 = self.optimization.precision == "bf16"
        with torch.autocast(place.device.type, torch.bfloat16, enabled=bf16):
            # Without a share, one item of weight 0 keeps this process in step with the others.
            value: Tensor = self.loss(share if len(share) else batch[:1], generator)
        (value * weight).backward()
        if self.optimization.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.trained, self.optimization.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        # At once: neither the next forward pass nor a validation has use for gradients.
        self.optimizer.zero_grad()
        return value.detach().float() * len(share)
