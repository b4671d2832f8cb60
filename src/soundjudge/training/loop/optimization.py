"""How a training steps through its items: optimizer, schedule, length, precision."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """A section of params.yaml that every training has."""

    optimizer: Literal["adamw", "adam"]
    learning_rate: float
    weight_decay: float
    epochs: int
    batch_size: int  # items a step, over all devices together
    warmup_steps: int  # steps of linear rise from 0
    final_lr_ratio: float  # end of the cosine, as a share of learning_rate
    clip_norm: float | None  # largest gradient norm
    patience: int | None  # epochs without a better validation before stopping
    precision: Literal["fp32", "bf16"]
    checkpoint_steps: int  # steps between two resume states

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epochs", "batch_size", "checkpoint_steps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0.")
        for name in ("weight_decay", "warmup_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative.")
        for name in ("clip_norm", "patience"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; write null for none.")
        if not 0 <= self.final_lr_ratio <= 1:
            raise ValueError(f"final_lr_ratio is {self.final_lr_ratio}; it must lie in 0..1.")

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate in epoch 1.. at step 0.. of the whole training.

        A cosine that moves once an epoch (epoch 1 has the full rate; the end ratio would be reached
        one epoch after the last, as in PyTorch's CosineAnnealingLR), times a warm-up by the step.
        """
        cosine = (1 + math.cos(math.pi * (epoch - 1) / self.epochs)) / 2
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        low = self.final_lr_ratio
        return self.learning_rate * warm * (low + (1 - low) * cosine)
