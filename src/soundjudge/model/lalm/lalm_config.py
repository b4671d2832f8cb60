"""The configuration of the layers around the language model, and of its prompt."""

from dataclasses import dataclass
from typing import Literal

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.prompt import Order


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
        if not self.head or min(self.head) < 1:
            raise SoundjudgeError(f"head is {list(self.head)}, it must list widths of at least 1.")
        for name in ("projector_hidden", "max_text_tokens"):
            if getattr(self, name) < 1:
                raise SoundjudgeError(f"{name} is {getattr(self, name)}, it must be at least 1.")
        for name in ("projector_dropout", "head_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SoundjudgeError(f"{name} is {getattr(self, name)}, it must be in [0, 1).")
