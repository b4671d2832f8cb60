"""What a training consists of: its progress and the tensors that it changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError
from soundjudge.training.loop.history import HistoryRow


@dataclass(kw_only=True)
class TrainingProgress:
    """The counters and results of a training, beside the tensors of module and optimizer."""

    epoch: int = 1  # the present epoch
    step: int = 0  # steps done in it
    steps: int = 0  # steps done in all epochs
    best_epoch: int = 0
    best_value: float | None = None
    history: list[HistoryRow] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)  # trainable_state at best_epoch, CPU
    # Of the epoch so far; tensors, as reading them would wait for the device.
    loss_sum: float | Tensor = 0.0  # over this process's share of `items`
    items: int | Tensor = 0  # of the steps that were not skipped
    skipped: int | Tensor = 0  # steps whose gradients were not finite


def stored_buffers(module: nn.Module) -> dict[str, Tensor]:
    """All buffers of the state dict: nothing tells batch-norm statistics from constants."""
    stored = module.state_dict().keys()
    return {name: buffer for name, buffer in module.named_buffers() if name in stored}


def trainable_state(module: nn.Module) -> dict[str, Tensor]:
    """The tensors that training changes, not copied: trainable parameters and stored buffers."""
    trainable = {name: p.data for name, p in module.named_parameters() if p.requires_grad}
    return trainable | stored_buffers(module)


def to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def restore(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Writes `tensors` into the module; their names must be those of `trainable_state`."""
    current = trainable_state(module)
    if current.keys() != tensors.keys():
        names = sorted(current.keys() ^ tensors.keys())
        raise SoundjudgeError(
            f"The stored state and the model differ in {len(names)} tensors: {names}"
        )
    for name, tensor in current.items():
        tensor.copy_(tensors[name])
