"""How the language model is trained: fully, by LoRA, or not at all.

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
    """Key `llm.lora` of a training in params.yaml.

    Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.
    """

    rank: int  # of the trained matrices
    alpha: float  # their product is scaled by alpha / rank
    targets: tuple[str, ...]  # names of the adapted linear layers, as in the language model

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not self.targets:
            raise SoundjudgeError("lora needs a rank of at least 1, alpha above 0, and targets.")


@dataclass(frozen=True, kw_only=True)
class LlmTraining:
    """Key `llm` of the sections `caption`, `pretrain.training` and `finetune.training`."""

    training: Literal["full", "lora", "frozen"]  # all weights, Lora's matrices, or none
    lora: Lora | None = None  # of training lora; merged into the weights at the end
    gradient_checkpointing: bool = False  # less memory, a third more time
    compile: bool = False  # minutes to start, faster steps on a GPU, other last digits

    def __post_init__(self) -> None:
        if (self.training == "lora") != (self.lora is not None):
            raise SoundjudgeError(
                f"training is {self.training!r} and lora is {self.lora}: lora: {{rank, alpha, "
                "targets}} belongs to training: lora, and null to the others."
            )


class NewTokenEmbeddings(nn.Module):
    """Trainable embeddings of the prompt's tokens, in place of their rows in a frozen table."""

    def __init__(self, table: nn.Embedding, tokens: Sequence[int]) -> None:
        super().__init__()
        self.tokens = list(tokens)
        self.weight = nn.Parameter(table.weight[self.tokens].detach().clone())  # (N, H)

    def forward(self, ids: Tensor, embeddings: Tensor) -> Tensor:
        """`embeddings` (B, L, H) of `ids` (B, L), those of the new tokens replaced."""
        is_new = torch.stack([ids == token for token in self.tokens], dim=2)  # (B, L, N)
        replacements = functional.embedding(is_new.int().argmax(2), self.weight)  # (B, L, H)
        return torch.where(is_new.any(2, keepdim=True), replacements, embeddings)

    @torch.no_grad()
    def merge(self, table: nn.Embedding) -> None:
        """Writes the trained embeddings into the table."""
        table.weight[self.tokens] = self.weight


def prepare_for_training(llm: PreTrainedModel, config: LlmTraining) -> None:
    """Applies `config` in place; `merge_and_unload` undoes all but what was learned."""
    llm.requires_grad_(config.training == "full")
    if config.lora is not None:
        _add_lora(llm, config.lora)
    if config.gradient_checkpointing:
        _switch_checkpointing(llm, "enable")
    if config.compile:
        # Layer by layer: equal layers share the compiled code of the first.
        for layer in _layers(llm):
            layer.compile()
        # Tells the compiler whether runs must repeat bit by bit; see runtime/devices.py.
        torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())


def merge_and_unload(llm: PreTrainedModel, config: LlmTraining) -> None:
    """Makes `llm` a plain model again, in place, with LoRA's products added to its weights."""
    for name, module in list(llm.named_modules()):
        if hasattr(module, "get_base_layer"):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(llm.get_submodule(parent), child, module.get_base_layer())
    if hasattr(llm, "peft_config"):
        del llm.peft_config
    if config.gradient_checkpointing:
        _switch_checkpointing(llm, "disable")
    for layer in _layers(llm):
        layer._compiled_call_impl = None  # torch has no public way back
    llm.requires_grad_(True)


def freeze(llm: PreTrainedModel, config: LlmTraining, mode: bool) -> None:
    """Keeps a frozen model in evaluation mode whatever the training `mode` of the whole."""
    if config.training != "frozen":
        return
    llm.eval()
    # Layers recompute activations in training mode only; a layer itself holds no dropout.
    for layer in _layers(llm):
        layer.training = mode and config.gradient_checkpointing


def _layers(llm: PreTrainedModel) -> list[nn.Module]:
    return [module for module in llm.modules() if isinstance(module, GradientCheckpointingLayer)]


def _switch_checkpointing(llm: PreTrainedModel, action: Literal["enable", "disable"]) -> None:
    # Within its fifth version transformers renames gradient_... to activation_...
    names = (f"activation_checkpointing_{action}", f"gradient_checkpointing_{action}")
    next(getattr(llm, name) for name in names if hasattr(llm, name))()


def _add_lora(llm: PreTrainedModel, lora: Lora) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise SoundjudgeError(
            "llm.training is lora, which needs the package peft: pip install 'soundjudge[lora]'."
        ) from error
    modules = llm.get_decoder().named_modules()
    names = {name.rpartition(".")[2] for name, module in modules if isinstance(module, nn.Linear)}
    unknown = sorted(set(lora.targets) - names)
    if unknown:
        raise SoundjudgeError(
            f"llm.lora.targets names {', '.join(unknown)}; choose among the linear layers of this "
            f"language model: {', '.join(sorted(names))}."
        )
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets))
    inject_adapter_in_model(config, llm)
