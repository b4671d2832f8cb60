"""The configuration of the layers around the language model, and of its prompt."""

from dataclasses import dataclass
from typing import Literal

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.prompt import Order

MAX_SIZE = 1 << 20  # more is nonsense, and fills the memory


def check_size(name: str, value: int) -> None:
    """Raises SoundjudgeError for a width or a number of tokens that no model has."""
    if not 1 <= value <= MAX_SIZE:
        raise SoundjudgeError(f"{name} is {value}, it must be 1 to {MAX_SIZE}.")


@dataclass(frozen=True, kw_only=True)
class LalmConfig:
    """Section `caption.model` of params.yaml."""

    projector_hidden: int  # width inside the projector
    projector_dropout: float = 0.1  # fraction of its inner values dropped in training
    head: tuple[int, ...]  # widths of the score head
    head_dropout: float = 0.1  # fraction of its inner values dropped in training
    max_text_tokens: int  # longer texts are cut
    order: Order
    attention: Literal["eager", "sdpa"]  # eager is faster for a small model on a CPU

    def __post_init__(self) -> None:
        if not self.head:
            raise SoundjudgeError("head is [], it must list widths.")
        for width in self.head:
            check_size("a width of head", width)
        for name in ("projector_hidden", "max_text_tokens"):
            check_size(name, getattr(self, name))
        for name in ("projector_dropout", "head_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SoundjudgeError(f"{name} is {getattr(self, name)}, it must be in [0, 1).")
