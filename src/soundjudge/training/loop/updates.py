"""One optimizer step from the mean loss over its items, on one process or many."""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from soundjudge.training.loop import resume
from soundjudge.training.loop.optimization import Optimization

Indices = NDArray[np.int64]
M = TypeVar("M", bound=nn.Module)
Loss = Callable[[M, Indices, torch.Generator], Tensor]


class _Loss(nn.Module, Generic[M]):
    """A loss as a module that holds the trained one, as DistributedDataParallel needs it."""

    def __init__(self, module: M, loss: Loss[M]) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, items: Indices, generator: torch.Generator) -> Tensor:
        """The mean over the items."""
        return self.loss(self.module, items, generator)


class Updates(Generic[M]):
    """The optimizer of a module's trainable parameters, and the gradients that move them."""

    def __init__(self, module: M, loss: Loss[M], optimization: Optimization) -> None:
        self.optimization, self.state = optimization, PartialState()
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.buffers = list(resume.stored_buffers(module).values())
        optimizer = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[optimization.optimizer]
        rate, decay = optimization.learning_rate, optimization.weight_decay
        self.optimizer = optimizer(self.parameters, lr=rate, weight_decay=decay, fused=True)
        self.loss: nn.Module = _Loss(module, loss)
        if self.state.num_processes > 1:
            # Averages gradients in buckets during the backward pass. A training may leave a part
            # unused, the same in every step (captioning the score head): a static graph allows it.
            self.loss = DistributedDataParallel(self.loss, static_graph=True)

    def step(self, batch: Indices, rate: float, generator: torch.Generator) -> Tensor:
        """One update from the mean over the items of `batch`; the loss summed over our share.

        Where a loss or the norm of the gradients is not finite, nothing changes and the sum is NaN,
        in all processes and without waiting for the device.
        """
        buffers = [buffer.clone() for buffer in self.buffers]
        total = self._backward(batch, generator)
        if self.optimization.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.parameters, self.optimization.clip_norm)
        else:
            norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        skipped = ~norm.isfinite()
        # What a loss scaler sets: the fused kernels leave weights and moments alone where it is 1.
        self.optimizer.found_inf = skipped.float()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        # At once: it frees their memory for the next forward pass and the validation.
        self.optimizer.zero_grad()
        for buffer, before in zip(self.buffers, buffers, strict=True):
            buffer.copy_(torch.where(skipped, before, buffer))
        return torch.where(skipped, torch.nan, total)

    def _backward(self, batch: Indices, generator: torch.Generator) -> Tensor:
        """The gradients of the mean over `batch`, in passes of a part of our share each."""
        state = self.state
        shares = np.array_split(batch, state.num_processes)  # the first is the largest
        passes = min(self.optimization.accumulation_steps, len(shares[0]))
        bf16 = self.optimization.precision == "bf16"
        total = torch.zeros((), device=state.device)
        for items in np.array_split(shares[state.process_index], passes):
            weight = len(items) * state.num_processes / len(batch)
            with torch.autocast(state.device.type, torch.bfloat16, enabled=bf16):
                # Without items, one of weight 0 keeps this process in step with the others.
                value: Tensor = self.loss(items if len(items) else batch[:1], generator)
            # A loss that is not finite makes all gradients NaN, in every process.
            (value * (weight + 0.0 * value.detach())).backward()
            total = total + value.detach().float() * len(items)
        return total
