"""The settings of the optimizer loop: optimizer, schedule, length, precision."""

import math
from dataclasses import dataclass
from typing import Literal

from soundjudge.errors import SoundjudgeError
from soundjudge.ranges import LARGEST_BATCH, LARGEST_COUNT, check_range

MOST_EPOCHS = 100_000
MOST_DECAY = 0.999999  # an average over a million steps


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
        # Above these numbers no training is of use.
        check_range(self, "learning_rate", least=1e-12, most=1)  # of less no weight would move
        check_range(self, "weight_decay", least=0, most=1)
        check_range(self, "epochs", least=1, most=MOST_EPOCHS)
        check_range(self, "batch_size", "accumulation_steps", least=1, most=LARGEST_BATCH)
        check_range(self, "warmup_steps", least=0, most=LARGEST_COUNT)
        check_range(self, "checkpoint_minutes", above=0, most=10_080, unit=", a week")
        if self.accumulation_steps > self.batch_size:
            raise SoundjudgeError(
                f"accumulation_steps is {self.accumulation_steps}, and a step has "
                f"{self.batch_size} items (batch_size): an item, such as a list, is never divided."
            )
        check_range(self, "clip_norm", least=1e-6, most=1e6, or_null=True)  # of less nothing moves
        check_range(self, "patience", least=1, most=MOST_EPOCHS, or_null=True)
        check_range(self, "ema_decay", above=0, most=MOST_DECAY, or_null=True)
        check_range(self, "final_lr_ratio", least=0, most=1)

    def check_warmup(self, steps: int) -> None:
        """Raises SoundjudgeError unless the warmup ends within epochs of so many steps."""
        if self.warmup_steps > self.epochs * steps:
            raise SoundjudgeError(
                f"warmup_steps is {self.warmup_steps}, and the training has "
                f"{self.epochs * steps} steps: choose fewer, or it never reaches learning_rate"
            )

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
