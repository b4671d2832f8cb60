"""What stands around the language model: sizes, the order of text and sound, attention."""

from dataclasses import dataclass
from typing import Literal

from soundjudge.model.lalm.prompt import Order


@dataclass(frozen=True, kw_only=True)
class LalmConfig:
    """What stands around the language model."""

    projector_hidden: int  # values between the projector's two maps
    projector_dropout: float
    head: tuple[int, ...]  # widths of the score network behind the language model's
    head_dropout: float
    max_text_tokens: int  # a longer text is cut at its end
    order: Order
    attention: Literal["eager", "sdpa"]  # eager is the faster one for a small model on a CPU

    def __post_init__(self) -> None:
        """Refuses sizes that are none."""
        if not self.head or min(self.head) < 1:
            raise ValueError(f"head is {list(self.head)}, it must list widths of at least 1.")
        for name in ("projector_hidden", "max_text_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be at least 1.")
        for name in ("projector_dropout", "head_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be in [0, 1).")
