"""Encoder frames to audio tokens in the space of the language model.

Letters: B = batch, M = audio tokens, D = encoder width, H = width of the language model.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class GatedProjector(nn.Module):
    """A SwiGLU network with a gated linear bypass, as in the TMU system.

    g = sigmoid(gate(x)); out = g * linear(x) + (1 - g) * swiglu(x).
    """

    def __init__(self, width: int, hidden: int, output: int, dropout: float) -> None:
        super().__init__()
        self.mlp = SwiGlu(width, hidden, output, dropout)
        self.residual_proj = nn.Linear(width, output)
        self.residual_gate = nn.Linear(width, output)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, D) to (B, M, H)."""
        gate = torch.sigmoid(self.residual_gate(x))
        out: Tensor = gate * self.residual_proj(x) + (1 - gate) * self.mlp(x)
        return out


class SwiGlu(nn.Module):
    """Shazeer 2020, "GLU variants improve transformer", arXiv 2002.05202, equation 6, normed."""

    def __init__(self, width: int, hidden: int, output: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * hidden)  # first the values, then the gates
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden, output)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, D) to (B, M, H)."""
        value, gate = self.fc1(self.norm(x)).chunk(2, dim=-1)
        out: Tensor = self.fc2(self.dropout(value * functional.silu(gate)))
        return out
