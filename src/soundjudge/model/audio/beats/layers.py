"""The parts of BEATs: its configuration, attention and layers, named as in Microsoft's files.

Chen et al. 2022, "BEATs: Audio Pre-Training with Acoustic Tokenizers", arXiv 2212.09058.
Letters: B = batch, N = patches, D = encoder width, H = heads, C = D / H.
"""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundjudge.errors import SoundjudgeError

MEL_BINS = 128
MAX_SIZE = 1 << 20  # of anything that is counted; more is nonsense, and fills the memory


@dataclass(frozen=True, kw_only=True)
class BeatsConfig:
    """The keys of an official `cfg` that decide what the network computes.

    The defaults are Microsoft's, for files without a key.
    """

    input_patch_size: int = 16
    embed_dim: int = 512
    conv_bias: bool = False
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    activation_fn: str = "gelu"
    layer_norm_first: bool = False
    deep_norm: bool = False
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    encoder_layerdrop: float = 0.0
    dropout_input: float = 0.0
    conv_pos: int = 128
    conv_pos_groups: int = 16
    relative_position_embedding: bool = False
    num_buckets: int = 320
    max_distance: int = 1280
    gru_rel_pos: bool = False
    finetuned_model: bool = False
    predictor_class: int = 527

    def __post_init__(self) -> None:
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if type(value) not in ((int, float) if kind is float else (kind,)):
                raise SoundjudgeError(
                    f"BEATs: {field.name} is {value!r}: it must be of type {kind.__name__}."
                )
            if kind is int and not 1 <= value <= MAX_SIZE:
                raise SoundjudgeError(
                    f"BEATs: {field.name} is {value}: it must be 1 to {MAX_SIZE}."
                )
            if kind is float and not 0 <= value <= 1:
                raise SoundjudgeError(f"BEATs: {field.name} is {value}: it must be 0 to 1.")
        if self.max_distance <= self.num_buckets // 4:  # which are of one distance each
            raise SoundjudgeError(
                f"BEATs: max_distance {self.max_distance} must exceed a quarter of num_buckets "
                f"{self.num_buckets}."
            )
        if self.activation_fn not in ("gelu", "relu"):
            raise SoundjudgeError(
                f"BEATs: activation_fn '{self.activation_fn}' is not gelu or relu."
            )
        if self.deep_norm and self.layer_norm_first:
            raise SoundjudgeError("BEATs: deep_norm and layer_norm_first exclude each other.")
        if self.encoder_embed_dim % self.encoder_attention_heads:
            raise SoundjudgeError(
                f"BEATs: encoder_embed_dim {self.encoder_embed_dim} is no multiple of "
                f"encoder_attention_heads {self.encoder_attention_heads}."
            )
        if MEL_BINS % self.input_patch_size:
            raise SoundjudgeError(f"BEATs: input_patch_size must divide {MEL_BINS}.")


class PositionConvolution(nn.Module):
    """A convolution over time with weight g * v / |v|, one norm per kernel position."""

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        v = torch.randn(width, width // groups, kernel) * math.sqrt(4 / (kernel * width))
        self.weight_v = nn.Parameter(v)
        self.weight_g = nn.Parameter(v.norm(dim=(0, 1), keepdim=True))  # (1, 1, kernel)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, N) to (B, D, N); an even kernel's surplus position is cut at the end."""
        norm = self.weight_v.norm(dim=(0, 1), keepdim=True)
        weight = self.weight_v * (self.weight_g / norm)
        length = x.shape[2]
        x = functional.conv1d(x, weight, self.bias, padding=self.kernel // 2, groups=self.groups)
        return x[:, :, :length]


class Attention(nn.Module):
    """Self-attention with a relative position bias that each query gates (section 3.2)."""

    def __init__(self, config: BeatsConfig, table: nn.Embedding | None) -> None:
        super().__init__()
        width, self.heads = config.encoder_embed_dim, config.encoder_attention_heads
        # Every layer lists the shared table as its own, as in Microsoft's files.
        self.relative_attention_bias = table
        self.dropout = config.attention_dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.gated = config.gru_rel_pos
        if self.gated:
            self.grep_linear = nn.Linear(width // self.heads, 8)
            self.grep_a = nn.Parameter(torch.ones(1, self.heads, 1, 1))

    def forward(self, x: Tensor, bias: Tensor | None, padding_mask: Tensor | None) -> Tensor:
        """(B, N, D) to (B, N, D).

        `bias` is (H, N, N), `padding_mask` (B, 1, 1, N) and true at padding.
        """
        q, k, v = (
            projection(x).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, H, N, C)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mask = None if bias is None else bias.unsqueeze(0)
        if mask is not None and self.gated:
            gates = self.grep_linear(q).unflatten(3, (2, 4)).sum(4).sigmoid()  # (B, H, N, 2)
            update, reset = gates.chunk(2, dim=3)
            mask = (update * (reset * self.grep_a - 1.0) + 2.0) * mask  # (B, H, N, N)
        if padding_mask is not None:
            mask = q.new_zeros(1, 1, 1, 1) if mask is None else mask
            mask = mask.masked_fill(padding_mask, float("-inf"))
        x = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if mask is None else mask.to(q.dtype),
            dropout_p=self.dropout if self.training else 0.0,
        )
        out: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))  # (B, N, D)
        return out


class Layer(nn.Module):
    """Attention and two linear layers, with the residuals of DeepNorm where configured."""

    def __init__(self, config: BeatsConfig, table: nn.Embedding | None) -> None:
        super().__init__()
        width, inner = config.encoder_embed_dim, config.encoder_ffn_embed_dim
        self.norm_first = config.layer_norm_first
        self.alpha = (2 * config.encoder_layers) ** 0.25 if config.deep_norm else 1.0
        self.activation = functional.gelu if config.activation_fn == "gelu" else functional.relu
        self.self_attn = Attention(config, table)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        self._initialize((8 * config.encoder_layers) ** -0.25 if config.deep_norm else None)

    def _initialize(self, beta: float | None) -> None:
        """Microsoft's initialization: normal, std 0.02; with DeepNorm Xavier, gain beta."""
        if self.fc1.weight.is_meta:
            return  # a checkpoint's weights replace them
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        if beta is not None:
            for linear in (self.self_attn.q_proj, self.self_attn.k_proj):
                nn.init.xavier_normal_(linear.weight)
            for linear in (self.self_attn.v_proj, self.self_attn.out_proj, self.fc1, self.fc2):
                nn.init.xavier_normal_(linear.weight, gain=beta)

    def forward(self, x: Tensor, bias: Tensor | None, padding_mask: Tensor | None) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        if self.norm_first:
            x = x + self.dropout(self.self_attn(self.self_attn_layer_norm(x), bias, padding_mask))
            return x + self._feed_forward(self.final_layer_norm(x))
        x = x * self.alpha + self.dropout(self.self_attn(x, bias, padding_mask))
        x = self.self_attn_layer_norm(x)
        out: Tensor = self.final_layer_norm(x * self.alpha + self._feed_forward(x))
        return out

    def _feed_forward(self, x: Tensor) -> Tensor:
        inner = self.activation_dropout(self.activation(self.fc1(x)))
        out: Tensor = self.dropout(self.fc2(inner))
        return out
