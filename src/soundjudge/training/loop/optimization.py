"""The settings of the optimizer loop: optimizer, schedule, length, precision."""

import math
from dataclasses import dataclass
from typing import Literal

from soundjudge.errors import SoundjudgeError

MOST = {"learning_rate": 1.0, "weight_decay": 1.0, "epochs": 100_000}


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """Section `optimization` of every training in params.yaml."""

    optimizer: Literal["adamw", "adam"]  # Loshchilov and Hutter 2019, or Kingma and Ba 2015
    learning_rate: float  # of the first epoch, after the warmup
    weight_decay: float = 0.01  # in adam it is added to the gradient
    epochs: int  # at most
    batch_size: int  # items per step, over all devices together
    accumulation_steps: int = 1  # passes that a step's items are divided into: less memory
    warmup_steps: int = 0  # steps of linear rise from 0
    final_lr_ratio: float = 0.01  # end of the cosine, as a fraction of learning_rate
    clip_norm: float | None = 1.0  # largest gradient norm
    ema_decay: float | None = None  # of an average of the weights, which is validated and kept
    patience: int | None = None  # epochs without a better validation before stopping
    precision: Literal["fp32", "bf16"] = "fp32"  # of forward and backward passes
    checkpoint_minutes: float = 10.0  # between two resume states

    def __post_init__(self) -> None:
        counts = ("epochs", "batch_size", "accumulation_steps")
        for name in ("learning_rate", *counts, "checkpoint_minutes"):
            if getattr(self, name) <= 0:
                raise SoundjudgeError(f"{name} is {getattr(self, name)}; it must be above 0.")
        if self.accumulation_steps > self.batch_size:
            raise SoundjudgeError(
                f"accumulation_steps is {self.accumulation_steps}, and a step has "
                f"{self.batch_size} items (batch_size): an item, such as a list, is never divided."
            )
        for name in ("weight_decay", "warmup_steps"):
            if getattr(self, name) < 0:
                raise SoundjudgeError(f"{name} is {getattr(self, name)}; it must not be negative.")
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise SoundjudgeError(
                    f"{name} is {getattr(self, name):g}; no training is of use above {most:g}."
                )
        for name in ("clip_norm", "patience"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise SoundjudgeError(f"{name} is {getattr(self, name)}; write null for none.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise SoundjudgeError(
                f"ema_decay is {self.ema_decay}; it must lie in 0..1, or write null for none."
            )
        if not 0 <= self.final_lr_ratio <= 1:
            raise SoundjudgeError(f"final_lr_ratio is {self.final_lr_ratio}; it must lie in 0..1.")

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate in epoch 1.. at step 0.. of the whole training.

        A cosine that changes once per epoch (epoch 1 has the full rate; the final ratio would be
        reached one epoch after the last, as in PyTorch's CosineAnnealingLR), times a linear warmup
        per step.
        """
        cosine = (1 + math.cos(math.pi * (epoch - 1) / self.epochs)) / 2
        warmup = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        final = self.final_lr_ratio
        return self.learning_rate * warmup * (final + (1 - final) * cosine)
