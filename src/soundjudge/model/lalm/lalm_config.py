"""The configuration of the layers around the language model, and of its prompt."""

from dataclasses import dataclass
from typing import Literal

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.prompt import Order
from soundjudge.ranges import check_range

MAX_SIZE = 1 << 20  # more is nonsense, and fills the memory


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
        if not self.head or not all(1 <= width <= MAX_SIZE for width in self.head):
            raise SoundjudgeError(
                f"head is {list(self.head)}: it must list widths, each 1 to {MAX_SIZE}"
            )
        check_range(self, "projector_hidden", "max_text_tokens", least=1, most=MAX_SIZE)
        check_range(self, "projector_dropout", "head_dropout", least=0, below=1)
