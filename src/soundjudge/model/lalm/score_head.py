"""The score head: the language model's hidden state at [SCORE] to features of the score.

Letters: B = batch, H = width of the language model.
"""

from collections.abc import Sequence

from torch import Tensor, nn


class ScoreHead(nn.Module):
    """Linear layers with ReLU and dropout between them, none after the last."""

    def __init__(self, width: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for output in widths:
            if layers:
                layers += [nn.ReLU(), nn.Dropout(dropout)]
            layers.append(init_xavier(nn.Linear(width, output)))
            width = output
        self.mlp = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H) to (B, last width)."""
        out: Tensor = self.mlp(x)
        return out


def init_xavier(linear: nn.Linear) -> nn.Linear:
    """Initializes the weights as Glorot and Bengio 2010, the bias as 0; returns the layer."""
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
