"""What the captioner's likelihood of a pair adds to the language model's own score.

Letters: B = pairs, P = training pairs, S = inputs: the own score and the captioner's evidence.
"""

import torch
from torch import Tensor, nn

from soundjudge.model.lalm.score_head import ScoreHead

INPUTS = 4  # own score; log-probability given the sound, given the references; log of the tokens
WIDTHS, DROPOUT = (32, 16), 0.1


class LikelihoodOffset(nn.Module):
    """A small network whose output is added to a score: 0 before its first training step."""

    center: Tensor  # (S,)
    scale: Tensor
    low: Tensor  # of the standardized inputs of training pairs
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mlp = ScoreHead(INPUTS, (*WIDTHS, 1), DROPOUT)
        last = self.mlp.mlp[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        for name, value in (("center", 0.0), ("scale", 1.0), ("low", -1.0), ("high", 1.0)):
            self.register_buffer(name, torch.full((INPUTS,), value))

    def standardize_by(self, scores: Tensor, evidence: Tensor) -> None:
        """Takes mean, deviation and range of inputs from training pairs, (P,) and (P, S - 1)."""
        inputs = join_inputs(scores, evidence)
        self.center, scale = inputs.mean(dim=0), inputs.std(dim=0, correction=0)
        self.scale = torch.where(scale > 0, scale, 1.0)
        self.low = (inputs.amin(dim=0) - self.center) / self.scale
        self.high = (inputs.amax(dim=0) - self.center) / self.scale

    def forward(self, scores: Tensor, evidence: Tensor) -> Tensor:
        """Own scores (B,), `Likelihood.evidence` (B, S - 1) to joint scores: (B,).

        In the network, inputs beyond those of training count as the nearest of them.
        """
        with torch.autocast(scores.device.type, enabled=False):
            inputs = (join_inputs(scores, evidence) - self.center) / self.scale
            offsets: Tensor = self.mlp(inputs.clamp(self.low, self.high)).squeeze(1)
            return scores.float() + offsets


def join_inputs(scores: Tensor, evidence: Tensor) -> Tensor:
    """The inputs in float32: (B, S)."""
    own, prior, tokens = evidence.float().unbind(dim=1)
    return torch.stack([scores.float(), own, prior, tokens.log()], dim=1)
