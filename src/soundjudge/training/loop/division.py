"""How processes divide a step: by its items, or by the pairs inside its lists.

Letters: P = pairs, L = lists of S pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import gather
from torch import Tensor
from torch.nn import functional

from soundjudge.errors import SoundjudgeError
from soundjudge.training.loop.objective import Indices, ItemLoss, ListLoss, Loss, M
from soundjudge.training.loop.optimization import Optimization


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one process does in one pass of a step."""

    items: Indices  # of the loss: our items, or all lists of the pass
    read: Indices  # the items or pairs whose inputs we need
    weight: float  # of the loss, before gradients are averaged over the processes
    count: float  # items that the loss stands for in a sum over the processes
    sizes: tuple[int, ...] | None = None  # pairs that each process scores; None = whole items
    rank: int = 0


def check_division(loss: Loss[M], optimization: Optimization, processes: int) -> None:
    """SoundjudgeError if a whole step does not give each of the processes something to do."""
    batch = optimization.batch_size
    if isinstance(loss, ListLoss) and batch % processes:
        lists = batch // optimization.accumulation_steps  # of a pass, at least
        groups = lists * (loss.list_size // loss.group)
        together = f" (captions_per_clip {loss.group} stay together)" if loss.group > 1 else ""
        if groups < processes:
            raise SoundjudgeError(
                f"batch_size is {batch} and a list has {loss.list_size} pairs{together}: "
                f"{processes} processes cannot divide that. Set batch_size to a multiple of "
                f"{processes}, or start at most {groups} processes."
            )
    elif batch < processes:
        raise SoundjudgeError(
            f"batch_size is {batch}, and {processes} processes cannot divide that: raise it to at "
            f"least {processes}, or start fewer processes."
        )


def divide_step(
    batch: Indices, loss: Loss[M], passes: int, rank: int, processes: int
) -> list[Share]:
    """The passes of process `rank` over the items of a step, (L,) or (L, S).

    Items go to the processes in whole where they go evenly, else lists are divided inside. Without
    enough pairs for that, as in an epoch's last step, some processes have no item: they compute one
    of weight 0, to stay in step with the others.
    """
    if isinstance(loss, ListLoss) and len(batch) % processes:
        parts = np.array_split(batch, min(passes, len(batch)))  # the last is the smallest
        if parts[-1].size // loss.group >= processes:
            return [_divide_pairs(part, len(batch), loss.group, rank, processes) for part in parts]
    shares = np.array_split(batch, processes)  # the first is the largest
    parts = np.array_split(shares[rank], min(passes, len(shares[0])))
    return [_whole_items(part, batch, loss, processes) for part in parts]


def _whole_items(part: Indices, batch: Indices, loss: Loss[M], processes: int) -> Share:
    items = part if len(part) else batch[:1]
    return Share(
        items=items,
        read=items.ravel() if isinstance(loss, ListLoss) else items,
        weight=len(part) * processes / len(batch),
        count=len(part),
    )


def _divide_pairs(part: Indices, lists: int, group: int, rank: int, processes: int) -> Share:
    groups = np.array_split(part.reshape(-1, group), processes)
    return Share(
        items=part,
        read=groups[rank].ravel(),
        weight=len(part) * processes / lists,
        count=len(part) / processes,
        sizes=tuple(rows.size for rows in groups),
        rank=rank,
    )


def compute_loss(
    module: M, loss: Loss[M], share: Share, inputs: tuple[object, ...], generator: torch.Generator
) -> Tensor:
    """The mean over a share's items, which have these inputs.

    Where lists are divided, every process has the loss of all their pairs, and gradients of its own
    pairs' scores: the gradients of all processes add up to that of the loss.
    """
    if isinstance(loss, ItemLoss):
        return loss.loss(module, inputs, generator)
    scores = loss.scores(module, inputs, generator)  # (P,)
    if share.sizes is not None:
        scores = gather_scores(scores, share.sizes, share.rank)
    return loss.loss(scores.view(share.items.shape), share.items)


def gather_scores(own: Tensor, sizes: Sequence[int], rank: int) -> Tensor:
    """All processes' scores (P,), of which each has `sizes`; gradients reach our own alone."""
    largest = max(sizes)
    padded = functional.pad(own.detach(), (0, largest - len(own)))
    of_all = gather(padded).split(largest)
    parts = [part[:size] for part, size in zip(of_all, sizes, strict=True)]
    parts[rank] = own
    return torch.cat(parts)
