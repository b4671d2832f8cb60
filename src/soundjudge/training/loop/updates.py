"""One optimizer step from the mean loss over its items, on one process or many."""

from collections.abc import Generator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from soundjudge.runtime import devices
from soundjudge.runtime.devices import pin_tensors
from soundjudge.runtime.read_ahead import read_ahead
from soundjudge.training.loop import resume
from soundjudge.training.loop.division import Share, check_division, compute_loss, divide_step
from soundjudge.training.loop.objective import Indices, Inputs, Loss, M
from soundjudge.training.loop.optimization import Optimization

STEPS_AHEAD = 2  # whose inputs are read while the device computes


@dataclass(frozen=True, kw_only=True)
class Step:
    """The items of a step, and what this process needs for its passes."""

    items: Indices  # (L,) or (L, S), of all processes
    passes: list[tuple[Share, Inputs]]


class _Loss(nn.Module, Generic[M]):
    """A loss as a module that holds the trained one, as DistributedDataParallel needs it."""

    def __init__(self, module: M, loss: Loss[M]) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, share: Share, inputs: Inputs, generator: torch.Generator) -> Tensor:
        """The mean over the items of the share."""
        return compute_loss(self.module, self.loss, share, inputs, generator)


class Updates(Generic[M]):
    """The optimizer of a module's trainable parameters, and the gradients that move them."""

    def __init__(self, module: M, loss: Loss[M], optimization: Optimization) -> None:
        """Raises SoundjudgeError if a step cannot be divided over the processes."""
        self.optimization, self.state, self.loss = optimization, PartialState(), loss
        check_division(loss, optimization, self.state.num_processes)
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.buffers = list(resume.stored_buffers(module).values())
        optimizer = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[optimization.optimizer]
        rate, decay = optimization.learning_rate, optimization.weight_decay
        self.optimizer = optimizer(self.parameters, lr=rate, weight_decay=decay, fused=True)
        self.module: nn.Module = _Loss(module, loss)
        if self.state.num_processes > 1:
            # Averages gradients in buckets during the backward pass. A training may leave a part
            # unused, the same in every step (captioning the score head): a static graph allows it.
            self.module = DistributedDataParallel(self.module, static_graph=True)

    def read(self, batch: Indices) -> Step:
        """Our passes over the items of `batch` with their inputs; it may run in a thread."""
        state, passes = self.state, self.optimization.accumulation_steps
        shares = divide_step(batch, self.loss, passes, state.process_index, state.num_processes)
        return Step(items=batch, passes=[(share, self._read(share)) for share in shares])

    def read_ahead(self, batches: Iterable[Indices]) -> Generator[Future[Step], None, None]:
        """`read` of every batch, in a thread that is ahead of the device."""
        choose_device = partial(devices.choose_device, self.state.device)
        return read_ahead(self.read, batches, STEPS_AHEAD, initializer=choose_device)

    def step(self, step: Step, rate: float, generator: torch.Generator) -> Tensor:
        """One update from the mean over the items of `step`; the loss summed over our share.

        Where a loss or the norm of the gradients is not finite, nothing changes and the sum is NaN,
        in all processes and without waiting for the device.
        """
        buffers = [buffer.clone() for buffer in self.buffers]
        total = self._backward(step, generator)
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

    def _read(self, share: Share) -> Inputs:
        """The inputs of a share, in pinned memory where the device is a GPU."""
        inputs = self.loss.read(share.read)
        if self.state.device.type != "cuda":
            return inputs
        return tuple(pin_tensors(one) for one in inputs)

    def _backward(self, step: Step, generator: torch.Generator) -> Tensor:
        """The gradients of the mean over the items of `step`."""
        bf16 = self.optimization.precision == "bf16"
        total = torch.zeros((), device=self.state.device)
        for share, inputs in step.passes:
            with torch.autocast(self.state.device.type, torch.bfloat16, enabled=bf16):
                value: Tensor = self.module(share, inputs, generator)
            # A loss that is not finite makes all gradients NaN, in every process.
            (value * (share.weight + 0.0 * value.detach())).backward()  # type: ignore[no-untyped-call]
            total = total + value.detach().float() * share.count
        return total
