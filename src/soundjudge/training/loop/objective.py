"""What a training minimizes: a mean over items, whose inputs are read ahead of the step.

Letters: P = pairs, L = lists of S pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Indices = NDArray[np.int64]
Inputs = tuple[Any, ...]
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class ItemLoss(Generic[M]):
    """A loss of items that count each for itself, such as captions."""

    read: Callable[[Indices], Inputs]
    "inputs of some items (B,) or (B, S), on the CPU; called in a thread, ahead of the step"
    loss: Callable[[M, Inputs, torch.Generator], Tensor]
    "the mean over the items of these inputs; the generator is for augmentation"


@dataclass(frozen=True, kw_only=True)
class ListLoss(Generic[M]):
    """A loss of lists, which processes can compute together: each scores a share of the pairs."""

    read: Callable[[Indices], Inputs]
    "inputs of pairs (P,), on the CPU; called in a thread, ahead of the step"
    scores: Callable[[M, Inputs, torch.Generator], Tensor]
    "the pairs' scores: (P,)"
    loss: Callable[[Tensor, Indices], Tensor]
    "the mean over lists (L, S), of their scores and their pairs"
    list_size: int  # S
    group: int = 1  # consecutive pairs of a list that one process must score together


Loss = ItemLoss[M] | ListLoss[M]
