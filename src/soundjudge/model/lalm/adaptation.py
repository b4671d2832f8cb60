"""How a language model takes part in a training: all of it, by small matrices beside it, or not.

Letters: B = batch, L = longest sequence, H = width of the language model, N = new tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from soundjudge.errors import SoundjudgeError


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685."""

    rank: int  # of the matrices that learn
    alpha: float  # their product counts alpha / rank
    targets: tuple[str, ...]  # names of the linear maps that get them, as in the language model

    def __post_init__(self) -> None:
        """Refuses matrices of no size."""
        if self.rank < 1 or self.alpha <= 0 or not self.targets:
            raise ValueError("lora needs a rank of at least 1, alpha above 0, and targets.")


@dataclass(frozen=True, kw_only=True)
class LlmTraining:
    """Key `llm` of the sections `caption`, `align` and `finetune.training` of params.yaml."""

    training: Literal["full", "lora", "frozen"]
    lora: Lora | None
    gradient_checkpointing: bool  # activations are computed twice instead of kept
    compile: bool  # torch.compile

    def __post_init__(self) -> None:
        """Refuses settings of LoRA without LoRA, and the reverse."""
        if (self.training == "lora") != (self.lora is not None):
            raise ValueError(
                f"training is {self.training!r} and lora is {self.lora}: lora: {{rank, alpha, "
                "targets}} belongs to training: lora, and null to the others."
            )


class NewTokens(nn.Module):
    """The rows of a few tokens of a frozen table, which learn in its place."""

    def __init__(self, table: nn.Embedding, tokens: Sequence[int]) -> None:
        super().__init__()
        self.tokens = list(tokens)
        self.rows = nn.Parameter(table.weight[self.tokens].detach().clone())  # (N, H)

    def forward(self, ids: Tensor, embeddings: Tensor) -> Tensor:
        """`embeddings` (B, L, H) of `ids` (B, L), with the learned rows where they belong."""
        mine = ids.unsqueeze(2) == torch.tensor(self.tokens, device=ids.device)  # (B, L, N)
        learned = functional.embedding(mine.int().argmax(2), self.rows)  # (B, L, H)
        return torch.where(mine.any(2, keepdim=True), learned, embeddings)

    @torch.no_grad()
    def merge(self, table: nn.Embedding) -> None:
        """Writes the learned rows into the table."""
        table.weight[self.tokens] = self.rows


def prepare_for_training(llm: PreTrainedModel, how: LlmTraining) -> None:
    """Makes learn what `how` says, in place; `settle` undoes all but what was learned."""
    llm.requires_grad_(how.training == "full")
    if how.lora is not None:
        _add_lora(llm, how.lora)
    if how.gradient_checkpointing:
        _checkpointing(llm, "enable")
    if how.compile:
        # Layer by layer: they are alike, so all but the first find their machine code ready.
        for layer in _layers(llm):
            layer.compile()
        # Says to the compiler, too, whether the same bits are asked for; see training/devices.py.
        torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())


def merge_and_unload(llm: PreTrainedModel, how: LlmTraining) -> None:
    """A plain model again: LoRA's products are added to the weights, nothing is compiled."""
    for name, module in list(llm.named_modules()):
        if hasattr(module, "get_base_layer"):
            module.merge()
            above, _, last = name.rpartition(".")
            setattr(llm.get_submodule(above), last, module.get_base_layer())
    if hasattr(llm, "peft_config"):
        del llm.peft_config
    if how.gradient_checkpointing:
        _checkpointing(llm, "disable")
    for layer in _layers(llm):
        layer._compiled_call_impl = None  # torch has no public way back
    llm.requires_grad_(True)


def freeze(llm: PreTrainedModel, how: LlmTraining, mode: bool) -> None:
    """Keeps a frozen model as it is when it is used, though its other half is being trained."""
    if how.training != "frozen":
        return
    llm.eval()
    # Layers keep no activations only where they believe to be in training; they hold no dropout.
    for layer in _layers(llm):
        layer.training = mode and how.gradient_checkpointing


def _layers(llm: PreTrainedModel) -> list[nn.Module]:
    return [module for module in llm.modules() if isinstance(module, GradientCheckpointingLayer)]


def _checkpointing(llm: PreTrainedModel, word: Literal["enable", "disable"]) -> None:
    # Within its fifth version transformers renames gradient_... to activation_...
    names = (f"activation_checkpointing_{word}", f"gradient_checkpointing_{word}")
    next(getattr(llm, name) for name in names if hasattr(llm, name))()


def _add_lora(llm: PreTrainedModel, lora: Lora) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise SoundjudgeError(
            "llm.training is lora, which needs the package peft: pip install 'soundjudge[lora]'."
        ) from error
    inside = llm.get_decoder().named_modules()
    names = {name.rpartition(".")[2] for name, module in inside if isinstance(module, nn.Linear)}
    unknown = sorted(set(lora.targets) - names)
    if unknown:
        raise SoundjudgeError(
            f"llm.lora.targets names {', '.join(unknown)}, and this language model has "
            f"{', '.join(sorted(names))}."
        )
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets))
    inject_adapter_in_model(config, llm)
